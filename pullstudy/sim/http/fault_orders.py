"""Faults as they are ordered: carried out at once, planned, or kept until they apply."""

from collections.abc import Callable
from typing import Any

import msgspec

from pullstudy.sim.api import status
from pullstudy.sim.cluster import SimCluster
from pullstudy.sim.faults import kinds
from pullstudy.sim.faults.http import HttpFaults, refused
from pullstudy.sim.http.streams import Streams
from pullstudy.sim.time.clock import Urgency

Json = dict[str, Any]


class FaultOrders:
    """``away`` and ``restart`` are done by who owns the socket and the cluster."""

    def __init__(
        self,
        cluster: SimCluster,
        http: HttpFaults,
        streams: Streams,
        away: Callable[[float], None],
        restart: Callable[[str | None], None],
    ) -> None:
        self._cluster = cluster
        self._http = http
        self._streams = streams
        self._away = away
        self._restart = restart

    def inject(self, fault: kinds.AnyFault) -> Json:
        """Carry the fault out now, keep it until it applies, or plan it; returns what was done."""
        if fault.in_seconds > 0:
            now = msgspec.structs.replace(fault, in_seconds=0.0)
            self._cluster.clock.call_later(fault.in_seconds, lambda: self._carry_out(now), Urgency.BACKGROUND)
            return {"planned_in_seconds": fault.in_seconds}
        return self._carry_out(fault)

    def _carry_out(self, fault: kinds.AnyFault) -> Json:
        match fault:
            case kinds.DropWatches(every_events=None):
                return self._each(fault.resource, lambda stream: stream.cut())
            case kinds.CloseWatches():
                return self._each(fault.resource, lambda stream: stream.close())
            case kinds.WatchGone(how="now"):
                version = self._cluster.history.version
                gone = status.too_old(version, version)
                return self._each(fault.resource, lambda stream: stream.fail(gone))
            case kinds.HalfOpen():
                return self._each(fault.resource, lambda stream: setattr(stream, "silent", True))
            case kinds.StreamError():
                error = refused(fault.code, fault.retry_after_seconds)
                return self._each(fault.resource, lambda stream: stream.fail(error))
            case kinds.Away():
                self._away(fault.seconds)
                return {"away_seconds": fault.seconds}
            case kinds.RestartAs():
                self._restart(fault.cluster)
                return {"restarted": True}
            case kinds.Compact():
                self._cluster.history.compact()
                return {"oldest": self._cluster.history.oldest}
            case _:
                return self._of_cluster(fault)

    def _of_cluster(self, fault: kinds.AnyFault) -> Json:
        match fault:
            case kinds.ClockSkew():
                return {"nodes": self._cluster.skew(fault.node, fault.seconds)}
            case kinds.SlowNodes():
                return {"nodes": self._cluster.slow_down(fault.node, fault.share, fault.factor)}
            case kinds.LoseNode():
                return {"nodes": self._cluster.lose_nodes(fault.node)}
            case kinds.LapseEvents():
                return {"events": self._cluster.events.lapse(fault.older_than_seconds)}
            case (
                kinds.DelayEvents() | kinds.LoseEvents() | kinds.PodFails() | kinds.PullFails()
                | kinds.LoseSpans() | kinds.DelaySpans() | kinds.DoubleSpans() | kinds.CutSpans()
            ):  # fmt: skip
                self._cluster.faults.pending.add(fault, fault.times)
            case (
                kinds.DropWatches() | kinds.WatchGone() | kinds.EmptyWatches() | kinds.TruncateLine()
                | kinds.GarbageLine() | kinds.Refuse() | kinds.ExpirePage() | kinds.DuplicateList()
            ):  # fmt: skip
                self._http.pending.add(fault, fault.times)
        return {"loaded": True}

    def _each(self, pattern: str, order: Callable[[Any], None]) -> Json:
        chosen = self._streams.matching(pattern)
        for stream in chosen:
            order(stream)
        return {"watches": len(chosen)}

    def pending(self) -> list[kinds.AnyFault]:
        return [*self._http.pending.all(), *self._cluster.faults.pending.all()]

    def clear(self) -> None:
        """Forget all that is pending; what was done stays done."""
        self._http.pending.clear()
        self._cluster.faults.pending.clear()
