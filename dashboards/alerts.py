"""Alert rules, as Grafana's provisioning API takes them: what somebody has to act on."""

from dataclasses import dataclass
from typing import Any

from dashboards.columns import pull
from dashboards.flux import Source
from dashboards.layout import Json
from dashboards.panels import INFLUXDB, INFLUXDB_UID, PROMETHEUS, PROMETHEUS_UID
from pulls import metric_names as metrics
from pulls.record import Outcome

FOLDER_UID, GROUP = "pullstudy", "pullstudy"
_EVERY_SECONDS = 60
_BACK_SECONDS = 900


@dataclass(frozen=True)
class Alert:
    """Fires while the last value of the query is above a limit for so long."""

    uid: str
    title: str
    query: str
    above: float
    for_duration: str
    summary: str
    flux: bool = False

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
        own = {"query": self.query} if self.flux else {"expr": self.query, "instant": True, "range": False}
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


def build(source: Source) -> Json:
    """The rule group."""
    return {
        "title": GROUP,
        "folderUid": FOLDER_UID,
        "interval": _EVERY_SECONDS,
        "rules": [alert.to_json_data() for alert in alerts(source)],
    }


def alerts(source: Source) -> tuple[Alert, ...]:
    rejects = f"sum(increase({metrics.REJECTS.name}[15m])) + sum(increase({metrics.DEAD_LETTERS.name}[15m]))"
    full = f"max({metrics.SPOOL_BYTES.name} / {metrics.SPOOL_LIMIT.name})"
    return (
        Alert(
            uid="pullstudy-lag",
            title="Records wait for the store",
            query=f"max({metrics.LAG.name})",
            above=300.0,
            for_duration="5m",
            summary="The oldest record has waited for more than 5 minutes: look whether the store or the bus takes records.",
        ),
        Alert(
            uid="pullstudy-rejects",
            title="Input was rejected",
            query=rejects,
            above=0.0,
            for_duration="0s",
            summary="Something could not be read or stored: the dashboard of failures shows what and why.",
        ),
        Alert(
            uid="pullstudy-spool",
            title="The spool fills",
            query=full,
            above=0.8,
            for_duration="5m",
            summary="The spool is over 80% full; when it is full the watch stops. Let the store catch up, or give it disk.",
        ),
        Alert(
            uid="pullstudy-failing",
            title="Pulls fail",
            query=failing_pulls(source),
            above=5.0,
            for_duration="5m",
            summary="More than 5 failed pulls in 15 minutes: the dashboard of failures shows the messages.",
            flux=True,
        ),
    )


def failing_pulls(source: Source) -> str:
    """How many pulls failed in the time asked for."""
    failed = f'r.{pull.tag_name("outcome")} == "{Outcome.FAILED}"'
    rows = source.rows(
        "start: v.timeRangeStart, stop: v.timeRangeStop",
        f"{pull.of_measurement()} and {failed} and {pull.of_fields(pull.count)}",
    )
    return f'{rows}\n  |> group() |> count() |> keep(columns: ["_value"])'
