"""What the kubelet reports of an image, word for word, by Kubernetes version."""

from dataclasses import dataclass

from pullstudy.pulls.duration import format_nanoseconds
from pullstudy.sim.api.version import KubernetesVersion


@dataclass(frozen=True)
class ReportedPull:
    """A pull as the kubelet reports it, in nanoseconds; None is what its version leaves out."""

    image: str
    pull_ns: int | None = None  # before 1.26 with the time it waited
    waiting_ns: int | None = None
    image_bytes: int | None = None


@dataclass(frozen=True)
class Messages:
    """The wording of one version. Numbers in comments are kubernetes/kubernetes pull requests."""

    version: KubernetesVersion

    def pulled(self, pull: "ReportedPull") -> str:
        text = f'Successfully pulled image "{pull.image}"'
        if pull.pull_ns is None:
            return text
        text += f" in {format_nanoseconds(pull.pull_ns)}"
        if pull.waiting_ns is None:
            return text
        text += f" ({format_nanoseconds(pull.pull_ns + pull.waiting_ns)} including waiting)"
        return text if pull.image_bytes is None else f"{text}. Image size: {pull.image_bytes} bytes."

    def report(self, image: str, pull_seconds: float, total_seconds: float, image_bytes: int) -> "ReportedPull":
        """What this version's message holds of a pull, and how finely."""
        minor = self.version.minor
        if minor < 20:
            return ReportedPull(image)
        total = self._measured(total_seconds)
        if minor < 26:
            return ReportedPull(image, total)
        pull = self._measured(pull_seconds)
        return ReportedPull(image, pull, total - pull, image_bytes if minor >= 30 else None)  # 121719

    def _measured(self, seconds: float) -> int:
        nanoseconds = int(seconds * 1e9)
        # 117276: cut to milliseconds
        return nanoseconds - nanoseconds % 1_000_000 if self.version.minor >= 28 else nanoseconds

    def present(self, image: str) -> str:
        text = f'Container image "{image}" already present on machine'
        return f"{text} and can be accessed by the pod" if self.version.minor >= 35 else text

    def created(self, container: str) -> str:
        if self.version.minor >= 35:  # 134043
            return "Container created"
        return f"Created container: {container}" if self.version.minor >= 32 else f"Created container {container}"

    def started(self, container: str) -> str:
        return "Container started" if self.version.minor >= 35 else f"Started container {container}"

    def pull_error(self, code: str, text: str) -> str:
        """What the runtime answered: older kubelets print the gRPC wrapping too."""
        return text if self.version.minor >= 31 or not code else f"rpc error: code = {code} desc = {text}"

    def back_off_waiting(self, image: str, cause: str) -> str:
        """status.containerStatuses[].state.waiting.message under ImagePullBackOff."""
        text = f'Back-off pulling image "{image}"'
        return f"{text}: ErrImagePull: {cause}" if self.version.minor >= 32 else text  # 127918


def pulling(image: str) -> str:
    return f'Pulling image "{image}"'


def back_off(image: str) -> str:
    return f'Back-off pulling image "{image}"'


def pull_failed(image: str, error: str) -> str:
    return f'Failed to pull image "{image}": {error}'


def never(image: str) -> str:
    return f'Container image "{image}" is not present with pull policy of Never'


def invalid_name(image: str, fault: str) -> str:
    """Of the event InspectFailed, and of the container that waits."""
    return f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": {fault}'
