"""Alert rules, as Grafana's provisioning API and as Prometheus takes them: what somebody has to act on."""

from dataclasses import dataclass
from typing import Any

from dashboards import pull_metrics
from dashboards.columns import pull
from dashboards.flux import Bucket
from dashboards.layout import Json
from dashboards.panels import INFLUXDB, INFLUXDB_UID, PROMETHEUS, PROMETHEUS_UID
from pullstudy.pulls import metric_names as metrics
from pullstudy.pulls.metric_names import Metric
from pullstudy.pulls.record import Outcome

FOLDER_UID, GROUP = "pullstudy", "pullstudy"
_EVERY_SECONDS = 60
_BACK_SECONDS = 900
_TIMES_SLOWER, _LEAST_PULLS = 2.0, 20  # fewer pulls tell nothing of their 95th percentile


@dataclass(frozen=True)
class Alert:
    """Fires while the last value of the query is above a limit for so long."""

    uid: str
    title: str
    query: str  # PromQL
    above: float
    for_duration: str
    summary: str
    flux: str = ""  # what Grafana asks InfluxDB in its place, so that it needs no Prometheus

    def to_json_data(self) -> Json:
        return {
            "uid": self.uid,
            "title": self.title,
            "folderUID": FOLDER_UID,
            "ruleGroup": GROUP,
            "orgID": 1,
            "condition": "C",
            "data": [self._asked(), self._last(), self._compared()],
            "for": self.for_duration,
            # No pulls and no collector are no alarm of these rules.
            "noDataState": "OK",
            "execErrState": "Error",
            "annotations": {"summary": self.summary},
            "labels": {"service": "pullstudy"},
        }

    def _asked(self) -> Json:
        own = {"query": self.flux} if self.flux else {"expr": self.query, "instant": True, "range": False}
        uid = INFLUXDB_UID if self.flux else PROMETHEUS_UID
        model = {"refId": "A", "datasource": INFLUXDB if self.flux else PROMETHEUS, **own}
        return _step("A", uid, model, _BACK_SECONDS)

    def _last(self) -> Json:
        return _step("B", "__expr__", {"refId": "B", "type": "reduce", "expression": "A", "reducer": "last"})

    def _compared(self) -> Json:
        evaluator = {"type": "gt", "params": [self.above]}
        condition = {"evaluator": evaluator, "operator": {"type": "and"}, "query": {"params": ["B"]}}
        model = {"refId": "C", "type": "threshold", "expression": "B", "conditions": [condition]}
        return _step("C", "__expr__", model)


def _step(name: str, uid: str, model: dict[str, Any], back_seconds: int = 0) -> Json:
    times = {"from": back_seconds, "to": 0}
    return {"refId": name, "datasourceUid": uid, "relativeTimeRange": times, "queryType": "", "model": model}


def build(bucket: Bucket) -> Json:
    """The rule group."""
    return {
        "title": GROUP,
        "folderUid": FOLDER_UID,
        "interval": _EVERY_SECONDS,
        "rules": [alert.to_json_data() for alert in alerts(bucket)],
    }


def provisioned(bucket: Bucket) -> Json:
    """The same as a file that a Grafana reads when it starts."""
    of_api = ("folderUID", "ruleGroup", "orgID")  # said of the group here
    rules = [
        {key: value for key, value in alert.to_json_data().items() if key not in of_api} for alert in alerts(bucket)
    ]
    group = {"orgId": 1, "name": GROUP, "folder": GROUP, "interval": f"{_EVERY_SECONDS}s", "rules": rules}
    return {"apiVersion": 1, "groups": [group]}


def rules(bucket: Bucket) -> Json:
    """The same as a file of Prometheus' rules."""
    every = f"{_EVERY_SECONDS}s"
    return {
        "groups": [
            {"name": GROUP, "interval": every, "rules": [_rule(alert) for alert in alerts(bucket)]},
            {"name": f"{GROUP}-recorded", "interval": every, "rules": pull_metrics.recording_rules()},
        ]
    }


def _rule(alert: Alert) -> Json:
    return {
        "alert": "".join(word.capitalize() for word in alert.uid.split("-")),
        "expr": f"{alert.query} > {alert.above:g}",
        "for": alert.for_duration,
        "labels": {"service": "pullstudy"},
        "annotations": {"title": alert.title, "summary": alert.summary},
    }


def _grown(*counted: Metric) -> str:
    """By how much counters grew in 15 minutes. One that is born above 0 has grown, which ``increase`` does not see."""
    parts = []
    for metric in counted:
        parts += [f"sum(increase({metric.name}[15m]))", f"sum({metric.name} unless {metric.name} offset 15m)"]
    return " + ".join(f"({part} or vector(0))" for part in parts)


def _slower(least_pulls: int) -> str:
    """The 95th percentile of the last hour by that of the week, where the hour had so many pulls."""
    by = ("cluster", "size_class")
    ratio = f"{pull_metrics.quantile(0.95, *by)} / {pull_metrics.quantile(0.95, *by, window='7d')}"
    return f"max by (cluster) ({ratio} and {pull_metrics.pulled(*by)} >= {least_pulls})"


def alerts(bucket: Bucket) -> tuple[Alert, ...]:
    return (
        Alert(
            uid="pullstudy-lag",
            title="Records wait for the store",
            query=f"max by (cluster) ({metrics.LAG.name})",
            above=metrics.LAG_LIMIT_SECONDS,
            for_duration="5m",
            summary="The oldest record has waited for more than 5 minutes: look whether the store or the bus takes records.",
        ),
        Alert(
            uid="pullstudy-sink-lag",
            title="Messages wait for the sink",
            query=f"max by (instance) ({metrics.SINK_LAG.name})",
            above=metrics.LAG_LIMIT_SECONDS,
            for_duration="5m",
            summary="The oldest message taken has waited for more than 5 minutes: look whether InfluxDB takes records.",
        ),
        Alert(
            uid="pullstudy-rejects",
            title="Input was rejected",
            query=_grown(metrics.REJECTS, metrics.DEAD_LETTERS, metrics.SINK_DEAD_LETTERS),
            above=0.0,
            for_duration="0s",
            summary="Something could not be read or stored: the dashboard of failures shows what and why.",
        ),
        Alert(
            uid="pullstudy-spool",
            title="The spool fills",
            query=f"max by (cluster) ({metrics.SPOOL_BYTES.name} / {metrics.SPOOL_LIMIT.name})",
            above=0.8,
            for_duration="5m",
            summary="The spool is over 80% full; when it is full the watch stops. Let the store catch up, or give it disk.",
        ),
        Alert(
            uid="pullstudy-not-watching",
            title="Nobody watches",
            query=f"1 - min by (cluster) ({metrics.WATCHING.name})",
            above=0.0,
            for_duration="5m",
            summary="No watch of a cluster has been open for 5 minutes: the collector's log says why. Events are kept for an hour.",
        ),
        Alert(
            uid="pullstudy-slow",
            title="Pulls are slow",
            query=_slower(_LEAST_PULLS),
            above=_TIMES_SLOWER,
            for_duration="15m",
            summary=f"The 95th percentile of an hour's pulls is over {_TIMES_SLOWER:g} times that of the week, of one class of "
            "size: the dashboard of pulls by Prometheus shows of which registry.",
        ),
        Alert(
            uid="pullstudy-failing",
            title="Pulls fail",
            query=f'sum(increase({metrics.RECORDS.name}{{outcome="{Outcome.FAILED}"}}[15m]))',
            above=5.0,
            for_duration="5m",
            summary="More than 5 failed pulls in 15 minutes: the dashboard of failures shows the messages.",
            flux=failing_pulls(bucket),
        ),
    )


def failing_pulls(bucket: Bucket) -> str:
    """How many pulls failed in the time asked for."""
    failed = f'r.{pull.tag_name("outcome")} == "{Outcome.FAILED}"'
    rows = bucket.rows(
        "start: v.timeRangeStart, stop: v.timeRangeStop",
        f"{pull.of_measurement()} and {failed} and {pull.of_fields(pull.count)}",
    )
    return f'{rows}\n  |> group() |> count() |> keep(columns: ["_value"])'
