"""The collector's own health, from its Prometheus metrics."""

from dashboards.layout import Json, Row, dashboard
from dashboards.panels import BYTES, COUNT, SECONDS, Figures, Lines, PromTarget
from pulls import metric_names as metrics
from pulls.metric_names import Metric

UID = "pullstudy-collector"
_GOOD_AT_0 = [{"color": "green", "value": None}, {"color": "red", "value": 1}]


def build() -> Json:
    return dashboard(
        UID,
        "pullstudy: collector",
        "Whether the collector watches, delivers and keeps up.",
        _rows(),
        since="now-6h",
        until="now",
        refresh="30s",
    )


def rate(metric: Metric, by: str) -> str:
    return f"sum by ({_label(metric, 'cluster')}, {_label(metric, by)}) (rate({metric.name}[5m]))"


def _label(metric: Metric, name: str) -> str:
    assert name in metric.labels, f"{metric.name} has no label {name}"
    return name


def _rows() -> list[Row]:
    return [
        (
            4,
            [
                (
                    6,
                    _figure(
                        "Watching", f"min({metrics.WATCHING.name})", COUNT, "1 while every collector has a watch open."
                    ),
                ),
                (6, _figure("Lag", f"max({metrics.LAG.name})", SECONDS, metrics.LAG.help)),
                (6, _figure("Spool", f"max({_SPOOL_SHARE})", "percentunit", "How full the fullest spool is.")),
                (
                    6,
                    _figure(
                        "Dead letters", f"sum({metrics.DEAD_LETTERS.name})", COUNT, metrics.DEAD_LETTERS.help, bad=True
                    ),
                ),
            ],
        ),
        (8, [(12, _events()), (12, _records())]),
        (8, [(12, _lag()), (12, _spool())]),
        (8, [(12, _rejects()), (12, _watch())]),
    ]


_SPOOL_SHARE = f"{metrics.SPOOL_BYTES.name} / {metrics.SPOOL_LIMIT.name}"


def _figure(title: str, expression: str, unit: str, description: str, *, bad: bool = False) -> Figures:
    steps = _GOOD_AT_0 if bad else [{"color": "text", "value": None}]
    targets = [PromTarget(expression, instant=True)]
    return Figures(
        title=title, unit=unit, description=description, targets=targets, steps=steps, noValue="no collector"
    )


def _lines(title: str, unit: str, description: str, *queries: tuple[str, str]) -> Lines:
    targets = [
        PromTarget(expression, legendFormat=legend, refId=chr(ord("A") + place))
        for place, (expression, legend) in enumerate(queries)
    ]
    return Lines(title=title, unit=unit, description=description, targets=targets)


def _events() -> Lines:
    query = (rate(metrics.EVENTS, "reason"), "{{cluster}} {{reason}}")
    return _lines("Events", "ops", "Events read a second, by reason.", query)


def _records() -> Lines:
    query = (rate(metrics.RECORDS, "outcome"), "{{cluster}} {{outcome}}")
    return _lines("Pull records", "ops", "Records spooled a second, by outcome.", query)


def _lag() -> Lines:
    return _lines("Lag", SECONDS, metrics.LAG.help, (metrics.LAG.name, "{{cluster}}"))


def _spool() -> Lines:
    return _lines(
        "Spool",
        BYTES,
        "Bytes on disk, and where the watch is stopped.",
        (metrics.SPOOL_BYTES.name, "{{cluster}}"),
        (metrics.SPOOL_LIMIT.name, "{{cluster}} limit"),
    )


def _rejects() -> Lines:
    query = (rate(metrics.REJECTS, "kind"), "{{cluster}} {{kind}}")
    return _lines("Rejects", "ops", metrics.REJECTS.help, query)


def _watch() -> Lines:
    return _lines(
        "Reconnects, lists and gaps in an hour",
        COUNT,
        "A gap is a stretch of events that nobody watched.",
        *(
            (f"increase({metric.name}[1h])", "{{cluster}} " + word)
            for metric, word in ((metrics.RECONNECTS, "reconnects"), (metrics.LISTS, "lists"), (metrics.GAPS, "gaps"))
        ),
    )
