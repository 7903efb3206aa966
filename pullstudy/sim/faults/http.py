"""Faults of the server: how it misanswers a request, and what it does to watches that are open."""

from fnmatch import fnmatchcase

from pullstudy.sim.api import status
from pullstudy.sim.faults.kinds import (
    DropWatches,
    DuplicateList,
    EmptyWatches,
    ExpirePage,
    GarbageLine,
    Refuse,
    TruncateLine,
    WatchGone,
)
from pullstudy.sim.faults.pending import PendingFaults


class HttpFaults:
    """Asked at each request, and at each line of a watch."""

    def __init__(self) -> None:
        self.pending = PendingFaults()

    def refusal(self, action: str, resource: str) -> status.ApiFailureError | None:
        """The error that this request (watch, list or other) is answered with instead."""
        fault = self.pending.take(Refuse, lambda f: f.on in ("any", action) and fnmatchcase(resource, f.resource))
        if fault is not None and fault.code == 403:
            return status.forbidden(action, resource)
        return refused(fault.code, fault.retry_after_seconds) if fault else None

    def forbids(self, verb: str, resource: str) -> bool:
        """Would a request with this verb be answered 403 now? Access reviews say so too, and use nothing up."""
        action = verb if verb in ("watch", "list") else "other"
        return any(
            isinstance(f, Refuse) and f.code == 403 and f.on in ("any", action) and fnmatchcase(resource, f.resource)
            for f in self.pending.all()
        )

    def watch_opening(self, resource: str) -> EmptyWatches | WatchGone | None:
        """What a watch that opens meets."""
        return self.pending.take(EmptyWatches, lambda f: fnmatchcase(resource, f.resource)) or self.pending.take(
            WatchGone, lambda f: fnmatchcase(resource, f.resource)
        )

    def cut_every(self, resource: str) -> int | None:
        """After how many events the watches of this kind are cut, if they are."""
        for fault in self.pending.all():
            if isinstance(fault, DropWatches) and fnmatchcase(resource, fault.resource):
                return fault.every_events
        return None

    def spend_cut(self, resource: str) -> None:
        self.pending.take(DropWatches, lambda f: fnmatchcase(resource, f.resource))

    def spoil(self, resource: str) -> TruncateLine | GarbageLine | None:
        """What happens to the next line of a watch."""
        if not self.pending.all():
            return None
        return self.pending.take(TruncateLine, lambda f: fnmatchcase(resource, f.resource)) or self.pending.take(
            GarbageLine, lambda f: fnmatchcase(resource, f.resource)
        )

    def page_expired(self) -> bool:
        return self.pending.take(ExpirePage) is not None

    def list_doubled(self, resource: str) -> bool:
        return self.pending.take(DuplicateList, lambda f: fnmatchcase(resource, f.resource)) is not None


def refused(code: int, retry_after_seconds: int | None) -> status.ApiFailureError:
    if code == 429:
        return status.too_many_requests(1 if retry_after_seconds is None else retry_after_seconds)
    return status.injected(code)
