"""What can go wrong on the way to a Kubernetes API server. The client maps every other error to these, in one place.

KubeError
├── KubeconfigError    no usable way to a cluster is configured
└── ApiError           a request failed: ``what`` was asked, ``status`` is the answer's, or 0
    ├── StatusError    the API server answered with an error: ``answer`` is its Status
    └── TransportError no answer, or only part of one, or one that cannot be read
        ├── IncompleteError the server was reached, and its answer did not come whole
        └── TooLargeError it is longer than is read
"""

from dataclasses import dataclass

# Answers to a list that holds too much: the API server's own deadline or its etcd's, an answer of etcd's over the 2 GiB
# of a message, or a proxy that did not wait for it. Where it is in distress for another reason, a small page does no
# harm.
_OF_SIZE = (500, 502, 503, 504)


class KubeError(Exception):
    """Base of all. ``str()`` is one line: what happened, to which object."""


class KubeconfigError(KubeError):
    """There is no kubeconfig, or it, or the login that it tells of, cannot be used."""


@dataclass(frozen=True)
class Status:
    """The parts that matter of an API server's Status: of an answer, or of an ERROR line in a watch.

    Source: kubernetes ``meta/v1`` types.go.
    """

    code: int  # the HTTP status
    message: str = ""
    reason: str = ""  # for machines: NotFound, Forbidden, Expired, ...
    object: str = ""  # its kind and name, where it is about one: ``jobs pull-0``
    retry_after_seconds: float | None = None  # by the answer's header, else by the Status
    continue_token: str | None = None  # of a list whose version is gone: with it the rest comes at a newer one

    @property
    def version_too_large(self) -> bool:
        # Source: apiserver storage/errors.go NewTooLargeResourceVersionError; the reason is a plain Timeout, and old
        # servers leave out the cause, so client-go looks at the message too.
        return "too large resource version" in self.message.lower()

    def __str__(self) -> str:
        return f"{self.code} {self.message}".strip()


class ApiError(KubeError):
    """A request failed. ``status`` is the answer's HTTP status; 0 where there was none, or none that can be read."""

    def __init__(self, what: str, status: int, why: str, *, retry_after_seconds: float | None = None) -> None:
        """``what`` was asked, as a verb and its object; ``why`` it failed, in one line."""
        answer = f"the API server answered {status}" if status else "the API server was not reached"
        super().__init__(f"{what}: {answer} ({why})")
        self.what = what
        self.status = status
        self.why = why
        self.retry_after_seconds = retry_after_seconds

    @property
    def cause(self) -> str:
        """Without what was asked: the answer, as ``403 pods is forbidden``, or why there was none."""
        return self.why

    @property
    def may_be_of_size(self) -> bool:
        """Whether a smaller page of a list may be answered."""
        return False


class StatusError(ApiError):
    """The API server answered, and the answer is an error."""

    def __init__(self, what: str, answer: Status) -> None:
        super().__init__(
            what,
            answer.code,
            answer.message or answer.reason or "without a reason",
            retry_after_seconds=answer.retry_after_seconds,
        )
        self.answer = answer

    @property
    def cause(self) -> str:
        return str(self.answer)

    @property
    def may_be_of_size(self) -> bool:
        return self.status in _OF_SIZE and not self.answer.version_too_large

    @property
    def reason(self) -> str:
        """The Status' own, for machines."""
        return self.answer.reason

    @property
    def object(self) -> str:
        """What it is about, by the API server."""
        return self.answer.object


class TransportError(ApiError):
    """No answer, or only part of one: no connection, a cut, silence past the deadline, or a proxy's page."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(what, 0, why)


class IncompleteError(TransportError):
    """The connection stood, and the answer did not come, or only a part of it: silence past the deadline, or a cut."""

    @property
    def may_be_of_size(self) -> bool:
        return True


class TooLargeError(TransportError):
    """An answer longer than is read into memory."""

    @property
    def may_be_of_size(self) -> bool:
        return True
