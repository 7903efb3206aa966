"""Files of spans, as the OpenTelemetry Collector's file exporter writes them, imported: records as of the wire."""

import base64
import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from driver import cli
from pullstudy.pulls.decode import Origin
from pullstudy.pulls.kind import Record
from pullstudy.pulls.kinds import LAYER, PULL_STAGES
from pullstudy.pulls.spans.otlp import OtlpError, otlp_reader
from pullstudy.pulls.spans.otlp_json import read_otlp_json
from pullstudy.pulls.spans.span import Span
from pullstudy.pulls.spans.stage_records import records_of
from pullstudy.store.embedded.store import EmbeddedStore
from tests.pulls.spans.samples import pull_spans, request_of

ORIGIN = Origin(cluster="lab", run="lab", size=1)
Capture = pytest.CaptureFixture[str]


def json_line(request: bytes) -> bytes:
    """As the specification of OTLP has JSON: ids hexadecimal."""
    told = MessageToDict(ExportTraceServiceRequest.FromString(request), use_integers_for_enums=True)
    return json.dumps(_hexadecimal(told)).encode() + b"\n"


def _hexadecimal(told: Any) -> Any:
    if isinstance(told, list):
        return [_hexadecimal(each) for each in told]
    if not isinstance(told, dict):
        return told
    ids = ("traceId", "spanId", "parentSpanId")
    return {name: base64.b64decode(each).hex() if name in ids else _hexadecimal(each) for name, each in told.items()}


def frame(request: bytes) -> bytes:
    return len(request).to_bytes(4, "big") + request


def parts(name: str, count: int = 3) -> list[bytes]:
    """The sample's pull in so many requests, its spans dealt out."""
    spans = pull_spans(name)
    return [request_of(name, spans[first::count], "n1") for first in range(count)]


def imported(directory: Path, *files: Path) -> int:
    arguments = ["import", *map(str, files), "--run", "lab", "--cluster", "lab", "--size", "1", "--out", str(directory)]
    return cli.run(arguments)


def stored(directory: Path) -> list[str]:
    store = EmbeddedStore(directory, create=False)
    try:
        records: list[Record] = [*store.records(PULL_STAGES), *store.records(LAYER)]
    finally:
        store.close_now()
    return sorted(map(repr, records))


def expected(*names: str) -> list[str]:
    read = otlp_reader()
    spans: Sequence[Span] = [span for name in names for part in parts(name) for span in read(part).spans]
    return sorted(repr(record) for name in names for record in records_of(_of(spans, name), ORIGIN))


def _of(spans: Sequence[Span], name: str) -> list[Span]:
    trace = pull_spans(name)[0].trace
    return [span for span in spans if span.trace == trace]


@pytest.mark.parametrize("write", [json_line, frame])
def test_a_pull_whose_spans_are_in_several_files_is_recorded_once(tmp_path: Path, write: Any, capsys: Capture) -> None:
    requests = [*parts("g9"), *parts("17")]
    rotated, current = tmp_path / "traces-1", tmp_path / "traces"
    rotated.write_bytes(b"".join(map(write, requests[::2])))
    current.write_bytes(gzip.compress(b"".join(map(write, requests[1::2]))))
    assert imported(tmp_path / "study", current, rotated) == 0
    assert stored(tmp_path / "study") == expected("g9", "17")
    assert "spans of pulls" in capsys.readouterr().out
    assert imported(tmp_path / "study", rotated, current, rotated) == 0
    assert stored(tmp_path / "study") == expected("g9", "17")


def test_a_line_that_is_damaged_is_a_reject_and_the_others_are_read(tmp_path: Path, capsys: Capture) -> None:
    lines = [json_line(part) for part in parts("g9")]
    (tmp_path / "spans.json").write_bytes(b"".join([*lines, lines[0][:400] + b"\n", b'{"resourceSpans": 7}\n']))
    assert imported(tmp_path / "study", tmp_path / "spans.json") == 0
    assert stored(tmp_path / "study") == expected("g9")
    said = capsys.readouterr().err
    for line in (4, 5):
        assert f"spans.json:{line}: a request of spans that is no TracesData of OTLP" in said


def test_a_file_that_ends_in_the_middle_of_a_request_gives_what_is_before_it(tmp_path: Path, capsys: Capture) -> None:
    whole = b"".join(map(frame, [*parts("g9"), *parts("17", 1)]))
    (tmp_path / "spans.bin").write_bytes(whole[:-100])
    assert imported(tmp_path / "study", tmp_path / "spans.bin") == 0
    assert stored(tmp_path / "study") == expected("g9")
    assert "a request of spans that is cut off" in capsys.readouterr().err


def test_the_way_that_json_may_be_written_changes_nothing() -> None:
    """Numbers of 64 bits as numbers or as texts, kinds and codes by name, fields that are not known."""
    text = (
        b'{"resourceSpans": [{"resource": {"attributes": [{"key": "host.name", "value": {"stringValue": "n"}}]},'
        b'"scopeSpans": [{"spans": [{"traceId": "%s", "spanId": "%s", "name": "runtime.v1.ImageService/PullImage",'
        b'"kind": "SPAN_KIND_CLIENT", "startTimeUnixNano": 5, "endTimeUnixNano": "7", "flags": 256,'
        b'"status": {"code": "STATUS_CODE_ERROR", "message": "no"},'
        b'"attributes": [{"key": "image.size.bytes", "value": {"intValue": "12"}}, {"key": "image.ref"}]}]}]}]}'
    ) % (b"AB" * 16, b"cd" * 8)
    (span,) = read_otlp_json(text).spans
    assert (span.node, span.trace, span.start, span.end) == ("n", "ab" * 16, 5, 7)
    assert (span.client, span.error) == (True, "no")
    assert span.attributes == {"image.size.bytes": "12", "image.ref": ""}


@pytest.mark.parametrize("text", [b"", b"{}", b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"spanId": "x"}]}]}]'])
def test_what_is_no_traces_data_is_told(text: bytes) -> None:
    with pytest.raises(OtlpError, match="is no TracesData of OTLP"):
        read_otlp_json(text)
