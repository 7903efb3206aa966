"""Readings in Prometheus' protobuf format, the only one that has native histograms. It asks for it where a scrape
configuration says ``scrape_native_histograms: true``.

Source of the messages and their numbers: prometheus/client_model ``io/prometheus/client/metrics.proto``; of the
encoding: protobuf's "Encoding" page. No message is read, and prometheus_client has no such encoder.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping

from collector.monitoring.histogram import SCHEMA, Exemplar, Histogram, NativeHistogram
from pullstudy.pulls.metric_names import Metric, MetricKind

CONTENT_TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
_TYPES = {MetricKind.COUNTER: 0, MetricKind.GAUGE: 1, MetricKind.HISTOGRAM: 4}
_ZERO_THRESHOLD = 2.0**-128  # what the Go client takes for zero
_VARINT, _FIXED64, _BYTES = 0, 1, 2

Values = Mapping[tuple[str, ...], float | Histogram]


def encode(families: Iterable[tuple[Metric, Values]]) -> bytes:
    """Each family with its length before it."""
    return b"".join(_sized(_family(metric, values)) for metric, values in families)


def _family(metric: Metric, values: Values) -> bytes:
    of_metric = _TYPES[metric.kind]
    head = _text(1, metric.name) + _text(2, metric.help) + _number(3, of_metric)
    return head + b"".join(_message(4, each) for each in _metrics(metric, values))


def _metrics(metric: Metric, values: Values) -> Iterator[bytes]:
    for labels, value in values.items():
        pairs = _labels(zip(metric.labels, labels, strict=True))
        if isinstance(value, Histogram):
            yield pairs + _message(7, _histogram(value))
        else:
            yield pairs + _message(2 if metric.kind is MetricKind.GAUGE else 3, _double(1, float(value)))


def _labels(labels: Iterable[tuple[str, str]]) -> bytes:
    return b"".join(_message(1, _text(1, name) + _text(2, value)) for name, value in labels)


def _histogram(value: Histogram) -> bytes:
    bounds = (*value.bounds_seconds, float("inf"))
    buckets = [
        _number(1, count) + _double(2, bound) + (_message(3, _exemplar(exemplar)) if exemplar else b"")
        for bound, count, exemplar in zip(bounds, value.cumulative(), value.exemplars, strict=True)
    ]
    whole = _number(1, value.count) + _double(2, value.sum_seconds) + b"".join(_message(3, each) for each in buckets)
    return whole + _native(value) if isinstance(value, NativeHistogram) else whole


def _native(value: NativeHistogram) -> bytes:
    head = _number(5, _zigzag(SCHEMA)) + _double(6, _ZERO_THRESHOLD) + _number(7, value.zeros)
    spans, deltas = _sparse(value.native_buckets())
    # A span without buckets tells a native histogram that is empty from one that is none.
    written = b"".join(_message(12, _number(1, _zigzag(gap)) + _number(2, length)) for gap, length in spans or [(0, 0)])
    changes = b"".join(_number(13, _zigzag(delta)) for delta in deltas)
    return head + written + changes + b"".join(_message(16, _exemplar(each)) for each in value.exemplars if each)


def _sparse(buckets: Iterable[tuple[int, int]]) -> tuple[list[tuple[int, int]], list[int]]:
    """Spans as (distance from the one before, length), and each count as its change."""
    spans: list[tuple[int, int]] = []
    deltas, next_index, before = [], 0, 0
    for index, count in buckets:
        if spans and index == next_index:
            spans[-1] = (spans[-1][0], spans[-1][1] + 1)
        else:
            spans.append((index - next_index, 1))
        deltas.append(count - before)
        next_index, before = index + 1, count
    return spans, deltas


def _exemplar(exemplar: Exemplar) -> bytes:
    seconds = exemplar.at.timestamp()
    at = _number(1, int(seconds)) + _number(2, exemplar.at.microsecond * 1000)
    return _labels(exemplar.labels) + _double(2, exemplar.seconds) + _message(3, at)


def _zigzag(number: int) -> int:
    return number * 2 if number >= 0 else -number * 2 - 1


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(number)


def _double(field: int, number: float) -> bytes:
    return _varint(field << 3 | _FIXED64) + struct.pack("<d", number)


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode(errors="replace"))


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _sized(content)


def _sized(content: bytes) -> bytes:
    return _varint(len(content)) + content


def _varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
