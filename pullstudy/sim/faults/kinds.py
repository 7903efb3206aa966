"""The vocabulary of faults: what the simulated cluster and its server can be told to do wrong.

Each is a JSON object whose ``fault`` names it. ``times`` is how often it applies; ``image``, ``job`` and ``node`` are
shell patterns (``*`` for all).
"""

from typing import Literal

import msgspec

from pullstudy.sim.node.pull_failures import KINDS

ALWAYS = 1_000_000_000


class Fault(msgspec.Struct, frozen=True, tag_field="fault", forbid_unknown_fields=True, kw_only=True):
    """One order to misbehave, now or ``in_seconds`` of virtual time (which makes no time pass by itself)."""

    in_seconds: float = 0.0


# The stream of a watch


class DropWatches(Fault, frozen=True, tag="drop-watches"):
    """Cut the connections of watches, without an end: those open now, or each one every N events."""

    resource: str = "*"
    every_events: int | None = None
    times: int = 1


class CloseWatches(Fault, frozen=True, tag="close-watches"):
    """End the open watches properly, as a server does whose time for them is over."""

    resource: str = "*"


class WatchGone(Fault, frozen=True, tag="watch-gone"):
    """410 Gone: to those that open a watch, as a status or as an ERROR line after 200; or ``now``, inside open ones."""

    resource: str = "*"
    how: Literal["status", "line", "now"] = "line"
    times: int = 1


class EmptyWatches(Fault, frozen=True, tag="empty-watches"):
    """Watches are answered 200 and closed at once, with nothing in them."""

    resource: str = "*"
    times: int = 1


class HalfOpen(Fault, frozen=True, tag="half-open"):
    """Open watches get nothing more, and no end either."""

    resource: str = "*"


class StreamError(Fault, frozen=True, tag="stream-error"):
    """An ERROR line of this code inside the open watches, which then end."""

    resource: str = "*"
    code: int = 500
    retry_after_seconds: int | None = None


class TruncateLine(Fault, frozen=True, tag="truncate-line"):
    """The next line of a watch breaks off in its middle, and the connection with it."""

    resource: str = "*"
    times: int = 1


class GarbageLine(Fault, frozen=True, tag="garbage-line"):
    """A line that is no JSON stands before the next line of a watch."""

    resource: str = "*"
    text: str = "<html><body>502 Bad Gateway</body></html>"
    times: int = 1


# The server


class Refuse(Fault, frozen=True, tag="refuse"):
    """Requests are answered with this code: 401, 403, 429, 500, 503 or 504."""

    code: int
    on: Literal["watch", "list", "other", "any"] = "any"
    resource: str = "*"
    retry_after_seconds: int | None = None
    times: int = 1


class Away(Fault, frozen=True, tag="away"):
    """The server is gone for so many real seconds: open connections are cut, new ones refused."""

    seconds: float


class Compact(Fault, frozen=True, tag="compact"):
    """All history up to now is compacted away: older versions and continue tokens are answered 410."""


class ExpirePage(Fault, frozen=True, tag="expire-page"):
    """The next continue token is answered 410, with a token for the inconsistent rest."""

    times: int = 1


class DuplicateList(Fault, frozen=True, tag="duplicate-list"):
    """The next list holds every item twice."""

    resource: str = "*"
    times: int = 1


class RestartAs(Fault, frozen=True, tag="restart-as"):
    """Behind the same port stands another cluster from now on: new uids, lower versions, no jobs."""

    cluster: str | None = None


# The cluster


class ClockSkew(Fault, frozen=True, tag="clock-skew"):
    """The clocks of these nodes are ahead by so many seconds (behind, if negative)."""

    node: str
    seconds: float


class DelayEvents(Fault, frozen=True, tag="delay-events"):
    """Events reach the API server so much later (virtual seconds)."""

    seconds: float
    reason: str = "*"
    times: int = ALWAYS


class LoseEvents(Fault, frozen=True, tag="lose-events"):
    """Events are lost at the sender."""

    probability: float = 1.0
    reason: str = "*"
    times: int = ALWAYS


class LapseEvents(Fault, frozen=True, tag="lapse-events"):
    """Events not written for so long are deleted now, as if their time to live were over."""

    older_than_seconds: float = 0.0


class PodFails(Fault, frozen=True, tag="pod-fails"):
    """A pod's containers end with this exit code."""

    job: str = "*"
    index: int | None = None
    exit_code: int = 1
    times: int = 1


class PullFails(Fault, frozen=True, tag="pull-fails"):
    """Pulls fail, in this way."""

    kind: str
    image: str = "*"
    node: str = "*"
    probability: float = 1.0
    times: int = ALWAYS

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind of pull failure {self.kind!r}: write one of {', '.join(KINDS)}")


class SlowNodes(Fault, frozen=True, tag="slow-nodes"):
    """Stragglers: the nodes of this pattern, or a seeded share of all, are slower by a factor."""

    factor: float
    node: str | None = None
    share: float = 0.05


class LoseNode(Fault, frozen=True, tag="lose-node"):
    """A machine is off: its kubelet says no more, and its pods are replaced when the control plane gives it up."""

    node: str


AnyFault = (
    DropWatches | CloseWatches | WatchGone | EmptyWatches | HalfOpen | StreamError | TruncateLine | GarbageLine
    | Refuse | Away | Compact | ExpirePage | DuplicateList | RestartAs
    | ClockSkew | DelayEvents | LoseEvents | LapseEvents | PodFails | PullFails | SlowNodes | LoseNode
)  # fmt: skip


class FaultError(ValueError):
    """A text that orders no fault we know. ``str()`` is one line."""


def parse_faults(text: bytes) -> list[AnyFault]:
    """One fault or a list of them. Raises FaultError."""
    try:
        if text.lstrip().startswith(b"["):
            return msgspec.json.decode(text, type=list[AnyFault])
        return [msgspec.json.decode(text, type=AnyFault)]
    except msgspec.MsgspecError as error:
        raise FaultError(f"no fault: {error}") from error
