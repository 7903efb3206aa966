"""Spans of real containerd, of tests/data/containerd-spans: see tests/data/README.md."""

import gzip
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent

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


def request_of(name: str, spans: Sequence[Span] | None = None, node: str | None = None) -> bytes:
    """An ExportTraceServiceRequest: of all that the sample has, what is no pull's too, or of these of it."""
    lines = gzip.decompress((DATA / f"spans-{name}.jsonl.gz").read_bytes()).splitlines()
    told = list(map(json.loads, lines))
    if spans is not None:
        by_id = {each["id"]: each for each in told}
        told = [by_id[span.id] for span in spans]
    attributes = [KeyValue(key="k8s.node.name", value=AnyValue(string_value=node))] if node else []
    resource = ResourceSpans(resource=Resource(attributes=attributes), scope_spans=[ScopeSpans(spans=map(_sent, told))])
    request: bytes = ExportTraceServiceRequest(resource_spans=[resource]).SerializeToString()
    return request


def _sent(told: dict[str, Any]) -> Any:
    return Sent(
        trace_id=bytes.fromhex(told["trace"]),
        span_id=bytes.fromhex(told["id"]),
        parent_span_id=bytes.fromhex(told["parent"]),
        name=told["name"],
        kind=Sent.SPAN_KIND_SERVER,
        start_time_unix_nano=told["start"],
        end_time_unix_nano=told["end"],
        attributes=_pairs(told["attributes"]),
        events=[Sent.Event(name=name, time_unix_nano=at, attributes=_pairs(more)) for name, at, more in told["events"]],
    )


def _pairs(attributes: dict[str, str]) -> list[Any]:
    return [KeyValue(key=key, value=AnyValue(string_value=text)) for key, text in attributes.items()]


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
