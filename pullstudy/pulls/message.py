"""What the kubelet, the scheduler and the job controller say, read.

Formats and the versions they belong to: docs/events.md; tests/pulls/corpus.py has a row for each.
Every function takes the message alone and returns None where it is not of its form.
"""

import math
import re
from datetime import UTC, datetime

import msgspec

from pullstudy.pulls.duration import PATTERN as DURATION
from pullstudy.pulls.duration import DurationError, parse_nanoseconds
from pullstudy.pulls.text_cache import cached_by_text

COMBINED = "(combined from similar events): "

_QUOTED = r'"([^"\\]*(?:\\.[^"\\]*)*)"'  # unrolled: an image's name has no backslash as a rule
_PULLED = re.compile(
    rf"Successfully pulled image {_QUOTED}(?: in ({DURATION})(?: \(({DURATION}) including waiting\))?)?"
    r"(?:\. Image size: (\d{1,18}) bytes\.?)?"  # 64 bits: no store holds more
)
_CACHED = re.compile(rf"Container image {_QUOTED} already present on machine(?: and can be accessed by the pod)?")
_PULLING = re.compile(rf"[Pp]ulling image {_QUOTED}")
_BACKOFF = re.compile(rf"Back-off pulling image {_QUOTED}(?:: (.*))?", re.DOTALL)
_FAILURES = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        rf"Failed to pull image {_QUOTED}: (.*)",
        rf"(?=Container image {_QUOTED} is not present with pull policy of Never)(.*)",
        rf"Failed to apply default image tag {_QUOTED}: (.*)",
        rf"Failed to inspect image {_QUOTED}: (.*)",
    )
)
# Sent beside the message that tells the cause, so a record made of it would count the attempt twice.
PULL_ERRORS = frozenset(
    (
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    )
)
# Of containerd, of Docker (dockershim and cri-dockerd), and of CRI-O, which quotes no image.
_SANDBOX_FAILURES = tuple(
    (head, re.compile(re.escape(head) + image + r": (.*)", re.DOTALL))
    for head, image in (
        ("failed to get sandbox image ", _QUOTED),
        ("failed pulling image ", _QUOTED),
        ("unable to pull sandbox image ", _QUOTED),
        ("nitializing source docker://", r"(\S+)"),
    )
)
_SCHEDULED = re.compile(r"Successfully assigned (?:[^\s/]+/)?([^\s/]+) to (\S+)")
# The stateful set's controller has words of its own.
_CREATED_POD = re.compile(r"(?:Created pod: (\S+)|create Pod (\S+) in StatefulSet \S+ successful)")
# Of GKE's gcfs-snapshotter, which quotes no image. The older form has no shares.
_PART = r"by (\d{1,3}(?:\.\d{1,9})?)% \((\d{1,9})/(\d{1,9}) layers\)"
_STREAMING = re.compile(
    rf"Image (\S+) is backed by (?:image streaming|secondary boot disk caching {_PART}, by image streaming {_PART})\."
)
_FIELD_PATH = re.compile(r"spec\.(?:init|ephemeral)?[cC]ontainers\{([^}]+)\}")
_GO_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_GO_NAMED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


class PulledText(msgspec.Struct, frozen=True, gc=False):
    """A successful pull as its message tells it; a duration that the message lacks is None."""

    image: str
    pull_nanoseconds: int | None
    including_waiting_nanoseconds: int | None
    image_bytes: int | None


class FailedText(msgspec.Struct, frozen=True, gc=False):
    """A failure's or back-off's image, None where the message has none, and cause."""

    image: str | None
    error: str | None


class StreamingText(msgspec.Struct, frozen=True, gc=False):
    """An image that a snapshotter streams. Shares are 0 to 1."""

    image: str
    streamed_share: float | None = None
    streamed_layers: int | None = None
    disk_share: float | None = None
    disk_layers: int | None = None
    layers: int | None = None


def read_pulled(text: str) -> PulledText | None:
    match = _PULLED.fullmatch(text)
    if match is None:
        return None
    image, pull, waiting, size = match.groups()
    try:
        pull_nanoseconds = parse_nanoseconds(pull) if pull else None
        waiting_nanoseconds = parse_nanoseconds(waiting) if waiting else None
    except DurationError:  # longer than any: whoever may create events can write this
        return None
    return PulledText(
        unquote(image),
        pull_nanoseconds,
        waiting_nanoseconds,
        # The kubelet asks for the size after the pull and writes 0 where it gets none (#121719).
        (int(size) or None) if size else None,
    )


def read_cached(text: str) -> str | None:
    """The image of an "already present" message."""
    return _image(_CACHED.fullmatch(text))


@cached_by_text(1024)
def read_pulling(text: str) -> str | None:
    return _image(_PULLING.fullmatch(text))


def read_backoff(text: str) -> FailedText | None:
    match = _BACKOFF.fullmatch(text)
    return FailedText(unquote(match[1]), match[2] or None) if match else None


def read_failure(text: str) -> FailedText | None:
    for pattern in _FAILURES:
        match = pattern.fullmatch(text)
        if match:
            # Recent kubelets print an empty name where the image was given as an object (#117726).
            return FailedText(unquote(match[1]) or None, match[2] or None)
    return None


def read_sandbox_failure(text: str) -> FailedText | None:
    """The pause image that could not be pulled, inside a FailedCreatePodSandBox message."""
    for head, pattern in _SANDBOX_FAILURES:
        # The last one, found without a pattern: a message of nothing but heads would be tried from each of them.
        match = pattern.fullmatch(text, max(text.rfind(head), 0))
        if match:
            return FailedText(unquote(match[1]), match[2])
    return None


def read_scheduled(text: str) -> tuple[str, str] | None:
    """(pod, node)."""
    match = _SCHEDULED.fullmatch(text)
    return (match[1], match[2]) if match else None


def read_created_pod(text: str) -> str | None:
    match = _CREATED_POD.fullmatch(text)
    return match[1] or match[2] if match else None


def read_streaming(text: str) -> StreamingText | None:
    match = _STREAMING.fullmatch(text)
    if match is None:
        return None
    image, disk, disk_layers, _, streamed, streamed_layers, layers = match.groups()
    if streamed is None:
        return StreamingText(image)
    return StreamingText(
        image, float(streamed) / 100, int(streamed_layers), float(disk) / 100, int(disk_layers), int(layers)
    )


def read_container(field_path: str | None) -> str | None:
    """The container that a ``spec.containers{NAME}`` field path points at."""
    return _container_of(field_path) if field_path else None


@cached_by_text(1024)
def _container_of(field_path: str) -> str | None:
    match = _FIELD_PATH.fullmatch(field_path)
    return match[1] if match else None


def unquote(quoted: str) -> str:
    """The text between the quotes that Go's ``%q`` printed."""
    return _GO_ESCAPE.sub(_unescape, quoted) if "\\" in quoted else quoted


def _unescape(match: re.Match[str]) -> str:
    body = match[1]
    if len(body) == 1:
        return _GO_NAMED.get(body, body)
    code = int(body[1:], 16) if body[0] in "xuU" else int(body, 8)
    # Go prints no surrogates, and text that holds one can be written nowhere.
    return chr(code) if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF else match[0]


def _image(match: re.Match[str] | None) -> str | None:
    return unquote(match[1]) if match else None


def read_time(text: str | None) -> datetime | None:
    """An API time, or None where it is missing, Go's zero time, or no time at all."""
    return _time_of(text) if text else None


def read_second(text: str | None) -> tuple[int, datetime] | None:
    """The second that an API time is in, since 1970 and as its beginning; None where ``read_time`` gives None."""
    return _second_of(text) if text else None


@cached_by_text(1024)
def _second_of(text: str) -> tuple[int, datetime] | None:
    at = _time_of(text)
    return (math.floor(at.timestamp()), at.replace(microsecond=0)) if at else None


@cached_by_text(1024)
def _time_of(text: str) -> datetime | None:
    if text.startswith("0001-"):
        return None
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else None
    except (ValueError, OverflowError):  # the last hours of the year 9999 are in UTC no date of Python's
        return None
