"""Tells of the pulls of a cluster, as its nodes' containerds would."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from pullstudy.sim.model.images import Image
from pullstudy.sim.model.layer_times import layer_times
from pullstudy.sim.model.pull_model import PullCourse
from pullstudy.sim.model.true_stages import TrueStages, true_stages
from pullstudy.sim.time.clock import Urgency, VirtualClock
from pullstudy.sim.tracing.otlp_message import resource_spans
from pullstudy.sim.tracing.outbox import SpanOutbox
from pullstudy.sim.tracing.pull_spans import MadeSpan, SpanIds, failed_pull_span, pull_spans
from pullstudy.sim.tracing.traced_pulls import TracedPulls

_SCOPE = "github.com/containerd/containerd/pkg/tracing"


@dataclass(frozen=True, slots=True)
class SpanFate:
    """What becomes of one span: how often it is sent, how late (virtual seconds), and with how many of its events."""

    copies: int = 1
    late_seconds: float = 0.0
    most_events: int | None = None


class SpanInterference(Protocol):
    """Says what becomes of spans that are sent now."""

    def fate(self, node: str, name: str) -> SpanFate: ...


@dataclass(frozen=True, slots=True)
class Teller:
    """The node that tells, and how far its clock is ahead."""

    name: str
    skew_seconds: float


class PullTracer:
    """Makes the spans where somebody wants them."""

    def __init__(
        self,
        clock: VirtualClock,
        source: random.Random,
        traced: TracedPulls,
        interference: SpanInterference,
        outbox: SpanOutbox,
    ) -> None:
        """``source`` is of the ids alone."""
        self._clock = clock
        self._random = source
        self._traced = traced
        self._interference = interference
        self._outbox = outbox

    def pulled(self, node: Teller, image: Image, course: PullCourse) -> TrueStages | None:
        """What the spans tell, where they are sent."""
        if not self._wants(node, image):
            return None
        times = layer_times(course)
        ids = self._ids()

        def ns(at: float) -> int:
            return self._clock.unix_ns(at - self._clock.now + node.skew_seconds)

        self._send(node, pull_spans(image, course, times, ids, ns))
        return true_stages(course, times)

    def failed(self, node: Teller, image: Image, started_at: float, error: str) -> None:
        """A pull that ends now, and without the image."""
        if self._wants(node, image):
            skew = node.skew_seconds
            start = self._clock.unix_ns(started_at - self._clock.now + skew)
            self._send(node, [failed_pull_span(image, error, self._ids(), start, self._clock.unix_ns(skew))])

    def _wants(self, node: Teller, image: Image) -> bool:
        return self._outbox.wanted and self._traced.covers(node.name, image)

    def _ids(self) -> SpanIds:
        """Numbered from one that is drawn: a draw for each would take as long as the spans."""
        trace, first = self._random.getrandbits(128).to_bytes(16, "big"), self._random.getrandbits(63)
        numbers = iter(range(first + 1, first + 1_000_000))
        return SpanIds(trace, lambda: next(numbers).to_bytes(8, "big"))

    def _send(self, node: Teller, spans: Iterable[MadeSpan]) -> None:
        by_delay: dict[float, list[bytes]] = {}
        for span in spans:
            fate = self._interference.fate(node.name, span.name)
            by_delay.setdefault(fate.late_seconds, []).extend([span.encoded(fate.most_events)] * fate.copies)
        for seconds, encoded_spans in by_delay.items():
            piece = resource_spans({"service.name": "containerd", "k8s.node.name": node.name}, _SCOPE, encoded_spans)
            if seconds:
                self._clock.call_later(seconds, partial(self._outbox.put, piece), Urgency.PATIENT)
            else:
                self._outbox.put(piece)
