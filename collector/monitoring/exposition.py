"""Readings in Prometheus' text formats, by prometheus_client, with a registry of its own: nothing is global."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from collector.monitoring.histogram import Histogram
from collector.monitoring.vitals import Reading
from pullstudy.pulls.metric_names import MetricKind

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


class Exposition:
    """What is read at each scrape, and the process's own CPU, memory and descriptors."""

    def __init__(self, readings: Callable[[], list[Reading]]) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Readings(readings))
        ProcessCollector(registry=self._registry)

    def text(self, accept: str) -> tuple[bytes, str]:
        """The body and its content type: OpenMetrics where the Accept header asks for it, else the older format."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _Readings(Collector):
    def __init__(self, readings: Callable[[], list[Reading]]) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Family]:
        """One family a metric: parts of a process may each read a share of the same one."""
        families: dict[str, Family] = {}
        for reading in self._readings():
            metric = reading.metric
            made = _FAMILIES[metric.kind](metric.name, metric.help, labels=metric.labels)
            family = families.setdefault(metric.name, made)
            for labels, value in reading.values.items():
                _add(family, labels, value)
        yield from families.values()


_FAMILIES: dict[MetricKind, Callable[..., Family]] = {
    MetricKind.COUNTER: CounterMetricFamily,
    MetricKind.GAUGE: GaugeMetricFamily,
    MetricKind.HISTOGRAM: HistogramMetricFamily,
}


def _add(family: Family, labels: tuple[str, ...], value: float | Histogram) -> None:
    if isinstance(family, HistogramMetricFamily):
        assert isinstance(value, Histogram)
        family.add_metric(labels, value.buckets(), value.sum_seconds)
    else:
        assert not isinstance(value, Histogram)
        family.add_metric(labels, float(value))
