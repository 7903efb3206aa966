"""How pulls fail, in the runtime's own words (containerd 1.7 and distribution's registry client)."""

from dataclasses import dataclass

from pullstudy.pulls.image import parse_image

TOO_MANY_REQUESTS = "too_many_requests"
KINDS = (TOO_MANY_REQUESTS, "unauthorized", "forbidden", "not_found", "timeout", "no_space", "unavailable", "qps")
QPS_EXCEEDED = "pull QPS exceeded"


@dataclass(frozen=True)
class PullFailure:
    """``code`` is the gRPC code of the runtime's answer; empty where the kubelet itself refuses."""

    code: str
    text: str


def failure_of(kind: str, image: str) -> PullFailure:
    """What the kubelet is told when a pull of this image fails in this way. ``kind`` is one of KINDS."""
    if kind == "qps":
        return PullFailure("", QPS_EXCEEDED)
    host, _, name = parse_image(image).repository.partition("/")
    tag = parse_image(image).tag or "latest"
    manifest = f"https://{host}/v2/{name}/manifests/{tag}"
    token = f"https://{host}/token?scope=repository%3A{name.replace('/', '%2F')}%3Apull&service={host}"
    whole = f'failed to pull and unpack image "{image}"'
    resolve = f'{whole}: failed to resolve reference "{image}"'
    texts = {
        TOO_MANY_REQUESTS: (
            "Unknown",
            f"{resolve}: unexpected status from HEAD request to {manifest}: 429 Too Many Requests - Server message:"
            " toomanyrequests: retry-after: 1.009ms, allowed: 44000/minute",
        ),
        "unauthorized": (
            "Unknown",
            f"{resolve}: failed to authorize: failed to fetch anonymous token: unexpected status from GET request to"
            f" {token}: 401 Unauthorized",
        ),
        "forbidden": (
            "Unknown",
            f"{resolve}: failed to authorize: failed to fetch anonymous token: unexpected status from GET request to"
            f" {token}: 403 Forbidden",
        ),
        "not_found": ("NotFound", f"{resolve}: {image}: not found"),
        "timeout": (
            "Unknown",
            f'{resolve}: failed to do request: Head "{manifest}": dial tcp 140.82.113.34:443: i/o timeout',
        ),
        "no_space": (
            "Unknown",
            f"{whole}: failed to extract layer"
            " sha256:19f2bd1a0b363264fc654f84fe54bda1202fcf0b1a9a6054fddb588f6ffb3a76: write"
            " /var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/57/fs/data/file.bin:"
            " no space left on device: unknown",
        ),
        "unavailable": (
            "Unknown",
            f"{resolve}: unexpected status from HEAD request to {manifest}: 503 Service Unavailable",
        ),
    }
    return PullFailure(*texts[kind])
