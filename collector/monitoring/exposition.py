"""Readings in the formats that Prometheus asks for. Texts are prometheus_client's, with a registry of its own: nothing
is global."""

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as TextExemplar

from collector.monitoring import protobuf_exposition as protobuf
from collector.monitoring.histogram import Exemplar, Histogram
from collector.monitoring.vitals import Reading
from pullstudy.pulls.metric_names import PROCESS, Metric, MetricKind

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
_PROTOBUF = "application/vnd.google.protobuf"


class Exposition:
    """What is read at each scrape, and the process's own CPU, memory and descriptors."""

    def __init__(self, readings: Callable[[], list[Reading]]) -> None:
        self._readings = readings
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Readings(readings))
        self._process = ProcessCollector(registry=self._registry)

    def text(self, accept: str) -> tuple[bytes, str]:
        """The body and its content type, as the Accept header asks: protobuf, which has native histograms, OpenMetrics,
        which has exemplars, or else the older text."""
        if prefers_protobuf(accept):
            return protobuf.encode(self._families()), protobuf.CONTENT_TYPE
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def _families(self) -> Iterator[tuple[Metric, protobuf.Values]]:
        yield from _by_metric(self._readings()).values()
        samples = {sample.name: sample.value for family in self._process.collect() for sample in family.samples}
        for metric in PROCESS:
            if metric.name in samples:
                yield metric, {(): samples[metric.name]}


def prefers_protobuf(accept: str) -> bool:
    """Whether the header names it with the highest weight."""
    weights: dict[str, float] = {}
    for each in accept.split(","):
        media, *parameters = (part.strip() for part in each.split(";"))
        weights[media] = max(weights.get(media, 0.0), _weight(parameters))
    return weights.get(_PROTOBUF, 0.0) > 0.0 and weights[_PROTOBUF] >= max(weights.values())


def _weight(parameters: list[str]) -> float:
    found = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    try:
        return float(found)
    except ValueError:  # whoever scrapes writes it
        return 0.0


def _by_metric(readings: list[Reading]) -> dict[str, tuple[Metric, dict[tuple[str, ...], float | Histogram]]]:
    """One family a metric: parts of a process may each read a share of the same one."""
    families: dict[str, tuple[Metric, dict[tuple[str, ...], float | Histogram]]] = {}
    for reading in readings:
        families.setdefault(reading.metric.name, (reading.metric, {}))[1].update(reading.values)
    return families


class _Readings(Collector):
    def __init__(self, readings: Callable[[], list[Reading]]) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Family]:
        for metric, values in _by_metric(self._readings()).values():
            family = _FAMILIES[metric.kind](metric.name, metric.help, labels=metric.labels)
            for labels, value in values.items():
                _add(family, labels, value)
            yield family


_FAMILIES: dict[MetricKind, Callable[..., Family]] = {
    MetricKind.COUNTER: CounterMetricFamily,
    MetricKind.GAUGE: GaugeMetricFamily,
    MetricKind.HISTOGRAM: HistogramMetricFamily,
}


def _add(family: Family, labels: tuple[str, ...], value: float | Histogram) -> None:
    if isinstance(family, HistogramMetricFamily):
        assert isinstance(value, Histogram)
        # Its own signature leaves no room for a bucket whose exemplar is None, which it takes as one without.
        buckets: list[Any] = [(bound, count, _as_text(exemplar)) for bound, count, exemplar in value.buckets()]
        family.add_metric(labels, buckets, value.sum_seconds)
    else:
        assert not isinstance(value, Histogram)
        family.add_metric(labels, float(value))


def _as_text(exemplar: Exemplar | None) -> TextExemplar | None:
    if exemplar is None:
        return None
    return TextExemplar(dict(exemplar.labels), exemplar.seconds, exemplar.at.timestamp())
