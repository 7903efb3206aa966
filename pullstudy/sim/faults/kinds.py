"""The vocabulary of faults: what the simulated cluster and its server can be told to do wrong.

Each is a JSON object whose ``fault`` names it. ``times`` is how often it applies; ``image``, ``job`` and ``node`` are
shell patterns (``*`` for all).
"""

from typing import Annotated, Literal

import msgspec

from pullstudy.sim.node.pull_failures import KINDS

ALWAYS = 1_000_000_000
LONGEST_SECONDS = 604_800.0  # a week of virtual time, in one order: heartbeats alone are 60,000 steps a node
_LONGEST_AWAY_SECONDS = 3_600.0  # real

_Seconds = Annotated[float, msgspec.Meta(ge=0, le=LONGEST_SECONDS)]
_Skew = Annotated[float, msgspec.Meta(ge=-LONGEST_SECONDS, le=LONGEST_SECONDS)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Times = Annotated[int, msgspec.Meta(ge=1, le=ALWAYS)]
_Pattern = Annotated[str, msgspec.Meta(max_length=1_000)]
_Code = Annotated[int, msgspec.Meta(ge=400, le=599)]
_Small = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class Fault(msgspec.Struct, frozen=True, tag_field="fault", forbid_unknown_fields=True, kw_only=True):
    """One order to misbehave, now or ``in_seconds`` of virtual time (which makes no time pass by itself)."""

    in_seconds: _Seconds = 0.0


# The stream of a watch


class DropWatches(Fault, frozen=True, tag="drop-watches"):
    """Cut the connections of watches, without an end: those open now, or each one every N events."""

    resource: _Pattern = "*"
    every_events: _Times | None = None
    times: _Times = 1


class CloseWatches(Fault, frozen=True, tag="close-watches"):
    """End the open watches properly, as a server does whose time for them is over."""

    resource: _Pattern = "*"


class WatchGone(Fault, frozen=True, tag="watch-gone"):
    """410 Gone: to those that open a watch, as a status or as an ERROR line after 200; or ``now``, inside open ones."""

    resource: _Pattern = "*"
    how: Literal["status", "line", "now"] = "line"
    times: _Times = 1


class EmptyWatches(Fault, frozen=True, tag="empty-watches"):
    """Watches are answered 200 and closed at once, with nothing in them."""

    resource: _Pattern = "*"
    times: _Times = 1


class HalfOpen(Fault, frozen=True, tag="half-open"):
    """Open watches get nothing more, and no end either."""

    resource: _Pattern = "*"


class StreamError(Fault, frozen=True, tag="stream-error"):
    """An ERROR line of this code inside the open watches, which then end."""

    resource: _Pattern = "*"
    code: _Code = 500
    retry_after_seconds: _Small | None = None


class TruncateLine(Fault, frozen=True, tag="truncate-line"):
    """The next line of a watch breaks off in its middle, and the connection with it."""

    resource: _Pattern = "*"
    times: _Times = 1


class GarbageLine(Fault, frozen=True, tag="garbage-line"):
    """A line that is no JSON stands before the next line of a watch."""

    resource: _Pattern = "*"
    text: str = "<html><body>502 Bad Gateway</body></html>"
    times: _Times = 1


# The server


class Refuse(Fault, frozen=True, tag="refuse"):
    """Requests are answered with this code: 401, 403, 429, 500, 503 or 504."""

    code: _Code
    on: Literal["watch", "list", "other", "any"] = "any"
    resource: _Pattern = "*"
    retry_after_seconds: _Small | None = None
    times: _Times = 1


class Away(Fault, frozen=True, tag="away"):
    """The server is gone for so many real seconds: open connections are cut, new ones refused."""

    seconds: Annotated[float, msgspec.Meta(ge=0, le=_LONGEST_AWAY_SECONDS)]


class Compact(Fault, frozen=True, tag="compact"):
    """All history up to now is compacted away: older versions and continue tokens are answered 410."""


class ExpirePage(Fault, frozen=True, tag="expire-page"):
    """The next continue token is answered 410, with a token for the inconsistent rest."""

    times: _Times = 1


class DuplicateList(Fault, frozen=True, tag="duplicate-list"):
    """The next list holds every item twice."""

    resource: _Pattern = "*"
    times: _Times = 1


class RestartAs(Fault, frozen=True, tag="restart-as"):
    """Behind the same port stands another cluster from now on: new uids, lower versions, no jobs."""

    cluster: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]+$", max_length=100)] | None = None


# The cluster


class ClockSkew(Fault, frozen=True, tag="clock-skew"):
    """The clocks of these nodes are ahead by so many seconds (behind, if negative)."""

    node: _Pattern
    seconds: _Skew


class DelayEvents(Fault, frozen=True, tag="delay-events"):
    """Events reach the API server so much later (virtual seconds)."""

    seconds: _Seconds
    reason: _Pattern = "*"
    times: _Times = ALWAYS


class LoseEvents(Fault, frozen=True, tag="lose-events"):
    """Events are lost at the sender."""

    probability: _Share = 1.0
    reason: _Pattern = "*"
    times: _Times = ALWAYS


class LapseEvents(Fault, frozen=True, tag="lapse-events"):
    """Events not written for so long are deleted now, as if their time to live were over."""

    older_than_seconds: _Seconds = 0.0


class PodFails(Fault, frozen=True, tag="pod-fails"):
    """A pod's containers end with this exit code."""

    job: _Pattern = "*"
    index: _Small | None = None
    exit_code: Annotated[int, msgspec.Meta(ge=0, le=255)] = 1
    times: _Times = 1


class PullFails(Fault, frozen=True, tag="pull-fails"):
    """Pulls fail, in this way."""

    kind: str
    image: _Pattern = "*"
    node: _Pattern = "*"
    probability: _Share = 1.0
    times: _Times = ALWAYS

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind of pull failure {self.kind!r}: write one of {', '.join(KINDS)}")


class SlowNodes(Fault, frozen=True, tag="slow-nodes"):
    """Stragglers: the nodes of this pattern, or a seeded share of all, are slower by a factor."""

    factor: Annotated[float, msgspec.Meta(ge=0.001, le=1_000_000)]
    node: _Pattern | None = None
    share: _Share = 0.05


class LoseSpans(Fault, frozen=True, tag="lose-spans"):
    """Spans of a runtime's tracing are lost at the sender."""

    name: _Pattern = "*"
    node: _Pattern = "*"
    probability: _Share = 1.0
    times: _Times = ALWAYS


class DelaySpans(Fault, frozen=True, tag="delay-spans"):
    """Spans are sent so much later (virtual seconds) than those of the same pull."""

    seconds: _Seconds
    name: _Pattern = "*"
    node: _Pattern = "*"
    probability: _Share = 1.0
    times: _Times = ALWAYS


class DoubleSpans(Fault, frozen=True, tag="double-spans"):
    """Spans are sent twice."""

    name: _Pattern = "*"
    node: _Pattern = "*"
    probability: _Share = 1.0
    times: _Times = ALWAYS


class CutSpans(Fault, frozen=True, tag="cut-spans"):
    """Spans keep so many of their events at most, as with OTEL_SPAN_EVENT_COUNT_LIMIT."""

    events: _Small = 128
    name: _Pattern = "*"
    node: _Pattern = "*"
    times: _Times = ALWAYS


class LoseNode(Fault, frozen=True, tag="lose-node"):
    """A machine is off: its kubelet says no more, and its pods are replaced when the control plane gives it up."""

    node: _Pattern


AnyFault = (
    DropWatches | CloseWatches | WatchGone | EmptyWatches | HalfOpen | StreamError | TruncateLine | GarbageLine
    | Refuse | Away | Compact | ExpirePage | DuplicateList | RestartAs
    | ClockSkew | DelayEvents | LoseEvents | LapseEvents | PodFails | PullFails | SlowNodes | LoseNode
    | LoseSpans | DelaySpans | DoubleSpans | CutSpans
)  # fmt: skip


class FaultError(ValueError):
    """A text that orders no fault we know. ``str()`` is one line."""


def parse_faults(text: bytes) -> list[AnyFault]:
    """One fault or a list of them. Raises FaultError."""
    try:
        if text.lstrip().startswith(b"["):
            return msgspec.json.decode(text, type=list[AnyFault])
        return [msgspec.json.decode(text, type=AnyFault)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FaultError(f"no fault: {error}") from error
