"""OTLP's bytes as spans of pulls."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.spans.otlp import OtlpError, otlp_reader
from pullstudy.pulls.spans.span import ROOTS
from pullstudy.pulls.spans.stage_records import records_of
from tests.pulls.spans.samples import ORIGIN, SAMPLES, pull_spans, request_of

read = otlp_reader()


@pytest.mark.parametrize("name", SAMPLES)
def test_the_records_are_those_of_the_sample_and_what_is_of_no_pull_is_counted(name: str) -> None:
    found = read(request_of(name))
    assert records_of(found.spans, ORIGIN) == records_of(pull_spans(name), ORIGIN)
    assert len(found.spans) == len(pull_spans(name))
    assert found.foreign > 100  # what else the containerd was asked meanwhile


def test_the_node_is_the_resources() -> None:
    (stages, *_) = records_of(read(request_of("g9", node="node-1")).spans, ORIGIN)
    assert isinstance(stages, PullStages)
    assert stages.node == "node-1"


def test_a_list_of_a_manifests_layers_a_failure_and_a_cut_are_read() -> None:
    request = ExportTraceServiceRequest.FromString(
        request_of("g9", [each for each in pull_spans("g9") if each.name in ROOTS])
    )
    (sent,) = request.resource_spans[0].scope_spans[0].spans
    sent.dropped_events_count = 3
    sent.status.code, sent.status.message = 2, "not found"
    child = sent.attributes.add(key="descriptor.child.0").value.array_value
    for text in ("application/x", "sha256:1"):
        child.values.add(string_value=text)
    (span,) = read(request.SerializeToString()).spans
    assert (span.cut, span.error, span.client) == (True, "not found", False)
    assert span.attributes["descriptor.child.0"] == "application/x sha256:1"
    sent.kind = 3
    assert read(request.SerializeToString()).spans[0].client


@pytest.mark.parametrize("field", ["trace_id", "span_id", "start_time_unix_nano", "end_time_unix_nano"])
def test_a_span_without_what_every_span_has_is_counted_as_foreign(field: str) -> None:
    request = ExportTraceServiceRequest.FromString(request_of("g9"))
    spans = request.resource_spans[0].scope_spans[0].spans
    root = next(span for span in spans if span.name in ROOTS)
    root.ClearField(field)
    found = read(request.SerializeToString())
    assert len(found.spans) == len(pull_spans("g9")) - 1


@given(st.binary(max_size=200))
def test_bytes_that_are_no_request_are_said_to_be_none(body: bytes) -> None:
    try:
        read(body)
    except OtlpError as error:
        assert "ExportTraceServiceRequest" in str(error)  # noqa: PT017
