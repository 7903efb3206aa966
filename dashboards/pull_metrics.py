"""How long pulls take, from the collectors' Prometheus metrics: for who has no InfluxDB."""

from dashboards.layout import Json, Row, dashboard, heading
from dashboards.panels import SECONDS, Lines, PromTarget
from pullstudy.pulls import metric_names as metrics

UID = "pullstudy-prometheus"
RECORDED = {0.5: "p50", 0.95: "p95", 0.99: "p99"}
WINDOW = "1h"


def build() -> Json:
    return dashboard(
        UID,
        "pullstudy: pulls by Prometheus",
        "How long pulls take by cluster, registry and class of size, and how many fail: without InfluxDB.",
        _rows(),
        since="now-24h",
        until="now",
        refresh="1m",
    )


def quantile(share: float, *by: str, window: str = WINDOW) -> str:
    """Of the pulls of so long: by native buckets, and where those are not scraped by classic ones, which are coarse."""
    name, labels = metrics.PULL_SECONDS.name, ", ".join(by)
    assert set(by) <= set(metrics.PULL_SECONDS.labels)
    native = f"histogram_quantile({share}, sum by ({labels}) (rate({name}[{window}])))"
    classic = f"histogram_quantile({share}, sum by (le, {labels}) (rate({name}_bucket[{window}])))"
    return f"({native} or {classic})"


def pulled(*by: str, window: str = WINDOW) -> str:
    """How many pulls had a duration, likewise."""
    name, labels = metrics.PULL_SECONDS.name, ", ".join(by)
    native = f"histogram_count(sum by ({labels}) (increase({name}[{window}])))"
    return f"({native} or sum by ({labels}) (increase({name}_count[{window}])))"


def recorded(share: float) -> str:
    """The name under which the rules keep a quantile of each cluster, registry and class of size."""
    return f"{'_'.join(metrics.PULL_SECONDS.labels)}:{metrics.PULL_SECONDS.name}:{RECORDED[share]}_{WINDOW}"


def recording_rules() -> list[Json]:
    """Quantiles of the last hour, as Prometheus takes rules."""
    by = metrics.PULL_SECONDS.labels
    return [{"record": recorded(share), "expr": quantile(share, *by)} for share in RECORDED]


def _rows() -> list[Row]:
    return [
        heading("How long pulls take"),
        (9, [(12, _by_size(0.5, "Median")), (12, _by_size(0.95, "95th percentile"))]),
        (9, [(12, _by_registry()), (12, _in_hour())]),
        heading("How they end"),
        (8, [(24, _outcomes())]),
    ]


def _lines(title: str, unit: str, description: str, expression: str, legend: str) -> Lines:
    targets = [PromTarget(expression, legendFormat=legend)]
    return Lines(title=title, unit=unit, description=description, targets=targets)


def _by_size(share: float, title: str) -> Lines:
    return _lines(
        f"{title} by class of size",
        SECONDS,
        "Of the downloads of the last hour, without waiting; sizes as the kubelet tells them.",
        quantile(share, "cluster", "size_class"),
        "{{cluster}} {{size_class}}",
    )


def _by_registry() -> Lines:
    return _lines(
        "95th percentile by registry",
        SECONDS,
        "Of the downloads of the last hour, without waiting; the 20 first registries by name, then together.",
        quantile(0.95, "cluster", "registry"),
        "{{cluster}} {{registry}}",
    )


def _in_hour() -> Lines:
    return _lines(
        "Downloads in an hour",
        "none",
        "Pulls with a duration.",
        pulled("cluster", "registry"),
        "{{cluster}} {{registry}}",
    )


def _outcomes() -> Lines:
    name = metrics.PULL_OUTCOMES.name
    return _lines(
        "Other outcomes in an hour",
        "none",
        metrics.PULL_OUTCOMES.help,
        f"sum by (cluster, registry, outcome) (increase({name}[{WINDOW}]))",
        "{{cluster}} {{registry}} {{outcome}}",
    )
