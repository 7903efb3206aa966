"""Spans of real containerd, of tests/data/containerd-spans: see tests/data/README.md."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

from pullstudy.pulls.decode import Origin
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.pulled_layer import PulledLayer
from pullstudy.pulls.spans.span import EVENTS, NAMES, ROOTS, Span, SpanEvent
from pullstudy.pulls.spans.stage_records import records_of

DATA = Path(__file__).resolve().parents[2] / "data" / "containerd-spans"
SAMPLES = ("g9", "z9", "g9p", "g125", "17")
ORIGIN = Origin(cluster="c")


def _json(name: str) -> Any:
    return json.loads(gzip.decompress((DATA / f"{name}.json.gz").read_bytes()))


@cache
def client_seconds(name: str) -> float:
    """How long the pull took by the clock of the CRI client that asked for it."""
    run = _json(f"run-{name}")
    return float(run["end"] - run["start"])


@cache
def pull_spans(name: str) -> tuple[Span, ...]:
    """Those of the trace of the sample's pull."""
    lines = gzip.decompress((DATA / f"spans-{name}.jsonl.gz").read_bytes()).splitlines()
    spans = [_span(told) for told in map(json.loads, lines) if told["name"] in NAMES]
    (trace,) = {span.trace for span in spans if span.name in ROOTS}
    return tuple(span for span in spans if span.trace == trace)


def _span(told: dict[str, Any]) -> Span:
    return Span(
        node=told.get("node"),
        trace=told["trace"],
        id=told["id"],
        parent=told["parent"],
        name=told["name"],
        start=told["start"],
        end=told["end"],
        attributes=told["attributes"],
        events=tuple(SpanEvent(name, at, more) for name, at, more in told["events"] if name in EVENTS),
    )


def inside(spans: tuple[Span, ...] | list[Span]) -> tuple[PullStages, list[PulledLayer]]:
    """The records of one pull."""
    (stages, *layers) = records_of(spans, ORIGIN)
    assert isinstance(stages, PullStages)
    return stages, [layer for layer in layers if isinstance(layer, PulledLayer)]


def seconds(record: PullStages | PulledLayer) -> dict[str, float]:
    """Of each stage that is known."""
    names = [
        name
        for name in record.__struct_fields__
        if name.endswith("_seconds") and name not in ("wall_seconds", "held_seconds")
    ]
    return {name.removesuffix("_seconds"): value for name in names if (value := getattr(record, name)) is not None}
