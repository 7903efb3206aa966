"""How many spans a second become records on one core, and what that takes of memory.

    python bench/spans.py [--spans N] [--directory DIR]

OTLP requests of 512 spans (as exporters send them), decoded, kept on disk, assembled and made records of: real pulls of
9 and 125 layers of tests/data/containerd-spans, each time with other ids, whose spans come interleaved from 16 nodes.
"""

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from collector.clock import SystemClock
from collector.log import Format, Log
from collector.settings import TracingSettings
from collector.tracing.journal import SpanJournal
from collector.tracing.pending import PendingSpans
from collector.tracing.receiver import Answer, SpanReceiver
from pullstudy.pulls.decode import Origin
from pullstudy.pulls.spans.otlp import otlp_reader
from tests.pulls.spans.samples import pull_spans, request_of

NODES = 16
BATCH = 512


def pulls(name: str, count: int) -> Iterator[list[Any]]:
    """The spans of the sample's pull, in the order of their ends, with the ids of another trace each time."""
    body = request_of(name, pull_spans(name))
    for number in range(count):
        # Messages share their memory with the request they came in, which would never be freed.
        spans = ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans
        for span in spans:
            span.trace_id = number.to_bytes(8, "big") + span.trace_id[8:]
        yield sorted(spans, key=lambda span: span.end_time_unix_nano)


def requests(name: str, count: int) -> Iterator[bytes]:
    """Of so many pulls at a time, one a node, in the order of the spans' ends."""
    made = pulls(name, count)
    while group := list(islice(made, NODES)):
        spans = [span for row in zip(*group, strict=True) for span in row]
        for at in range(0, len(spans), BATCH):
            yield ExportTraceServiceRequest(
                resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=spans[at : at + BATCH])])]
            ).SerializeToString()


async def measure(name: str, count: int, directory: Path) -> dict[str, object]:
    settings, clock = TracingSettings(), SystemClock()
    pending = PendingSpans(Origin(cluster="bench"), settings)
    journal = SpanJournal(directory / name)
    receiver = SpanReceiver(otlp_reader(), journal, pending, settings, clock, Log(clock, Format.TEXT))
    spans = records = 0
    seconds, memory = 0.0, []
    for body in requests(name, count):

        async def given(body: bytes = body) -> bytes:
            return body

        begun = time.process_time()
        assert await receiver.take(given) is Answer.KEPT
        for due in pending.due(clock.monotonic_seconds()):
            records += len(pending.settle(due, clock.monotonic_seconds()))
        await receiver.forget()
        seconds += time.process_time() - begun
        spans = receiver.counts.kept
        memory.append(_resident_mib())
    await receiver.close()
    return {
        "sample": name,
        "spans": spans,
        "records": records,
        "spans_per_cpu_second": round(spans / seconds),
        "mib_after_a_tenth": round(memory[len(memory) // 10], 1),
        "mib_at_the_end": round(memory[-1], 1),
        "most_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "journal_mib_at_the_end": round(journal.size_bytes / 2**20, 1),
    }


def _resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=100_000, help="of each sample, about")
    parser.add_argument("--directory", type=Path, help="for the journal: default a temporary one")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for name in ("g9", "g125"):
            count = -(-asked.spans // len(pull_spans(name)) // NODES) * NODES
            print(json.dumps(asyncio.run(measure(name, count, asked.directory or Path(temporary)))))


if __name__ == "__main__":
    main()
