"""Faults of the cluster itself: what its kubelets, recorders and pods do wrong."""

import random
from fnmatch import fnmatchcase
from typing import Any

from pullstudy.sim.api.apiserver import owner_of
from pullstudy.sim.api.pods import INDEX_KEY
from pullstudy.sim.faults.kinds import (
    CutSpans,
    DelayEvents,
    DelaySpans,
    DoubleSpans,
    LoseEvents,
    LoseSpans,
    PodFails,
    PullFails,
)
from pullstudy.sim.faults.pending import PendingFaults
from pullstudy.sim.node.pull_failures import PullFailure, failure_of
from pullstudy.sim.tracing.pull_tracer import SpanFate

Json = dict[str, Any]
_AS_IT_IS = SpanFate()


class ClusterFaults:
    """Asked by kubelet and recorders at the moment when something could go wrong."""

    def __init__(self, source: random.Random) -> None:
        self.pending = PendingFaults()
        self._random = source

    def pull_failure(self, image: str, node: str) -> tuple[str, PullFailure] | None:
        """How the pull that starts now will fail, if it will."""

        def applies(fault: PullFails) -> bool:
            named = fnmatchcase(image, fault.image) and fnmatchcase(node, fault.node)
            return named and self._random.random() < fault.probability

        fault = self.pending.take(PullFails, applies)
        return (fault.kind, failure_of(fault.kind, image)) if fault else None

    def interference(self, event: Json) -> tuple[float, bool]:
        """By how much an event is late, and whether it is lost."""
        if not self.pending.all():
            return 0.0, False
        reason = event["reason"]
        lost = self.pending.take(
            LoseEvents, lambda f: fnmatchcase(reason, f.reason) and self._random.random() < f.probability
        )
        if lost is not None:
            return 0.0, True
        late = self.pending.take(DelayEvents, lambda f: fnmatchcase(reason, f.reason))
        return (late.seconds if late else 0.0), False

    def fate(self, node: str, name: str) -> SpanFate:
        """What becomes of a span of this name that a node's runtime sends now."""
        if not self.pending.all():
            return _AS_IT_IS

        def applies(fault: LoseSpans | DelaySpans | DoubleSpans) -> bool:
            named = fnmatchcase(name, fault.name) and fnmatchcase(node, fault.node)
            return named and self._random.random() < fault.probability

        if self.pending.take(LoseSpans, applies) is not None:
            return SpanFate(copies=0)
        late = self.pending.take(DelaySpans, applies)
        twice = self.pending.take(DoubleSpans, applies)
        cut = self.pending.take(CutSpans, lambda f: fnmatchcase(name, f.name) and fnmatchcase(node, f.node))
        return SpanFate(2 if twice else 1, late.seconds if late else 0.0, cut.events if cut else None)

    def exit_code(self, pod: Json) -> int | None:
        """The exit code that a container of this pod ends with, or None for its own."""
        owner = owner_of(pod)
        job = owner["name"] if owner else ""
        index = (pod["metadata"].get("annotations") or {}).get(INDEX_KEY)

        def applies(fault: PodFails) -> bool:
            return fnmatchcase(job, fault.job) and fault.index in (None, int(index) if index else None)

        fault = self.pending.take(PodFails, applies)
        return fault.exit_code if fault else None
