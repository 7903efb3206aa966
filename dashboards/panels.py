"""Panels as Grafana 11 draws them: grafanalib's own, and in its style those it lacks.

grafanalib writes keys of older Grafanas, and writes None where it means nothing; ``modern`` leaves both out, so that what
is built is what Grafana's published schema knows.
"""

from collections.abc import Iterable
from typing import Any

import attr
from grafanalib import core as grafana

INFLUXDB_UID, PROMETHEUS_UID = "pullstudy-influxdb", "pullstudy-prometheus"
INFLUXDB = {"type": "influxdb", "uid": INFLUXDB_UID}
PROMETHEUS = {"type": "prometheus", "uid": PROMETHEUS_UID}

# Of grafanalib's panels and dashboards, unknown to the schema of Grafana 11.
_OF_OLD = frozenset(
    [
        "cacheTimeout",
        "editable",
        "error",
        "height",
        "minSpan",
        "span",
        "hideTimeOverride",
        "thresholds",
        "color",
        "columns",
        "fontSize",
        "mappings",
        "__inputs",
        "gnetId",
        "hideControls",
        "rows",
        "sharedCrosshair",
        "style",
        "inputs",
    ]
)
WIDTH = 24  # columns of Grafana's grid
SECONDS, BYTES, COUNT, SHARE, GIGABYTES = "s", "decbytes", "short", "percentunit", "suffix: GB"


def modern(data: Any) -> Any:
    """The JSON without None, but for a threshold's value, where it is minus infinity."""
    if hasattr(data, "to_json_data"):
        return modern(data.to_json_data())
    if isinstance(data, dict):
        return {key: modern(value) for key, value in data.items() if value is not None or key == "value"}
    return [modern(item) for item in data] if isinstance(data, list | tuple) else data


def without_old_keys(data: dict[str, Any]) -> dict[str, Any]:
    """A panel's or dashboard's JSON without the keys of older Grafanas, which stand on its first level."""
    return {key: value for key, value in data.items() if key not in _OF_OLD}


@attr.s
class FluxTarget:
    """A Flux query to an InfluxDB data source."""

    query: Any = attr.ib(validator=attr.validators.instance_of(str))
    refId: Any = attr.ib(default="A")  # noqa: N815 - grafanalib's word

    def to_json_data(self) -> dict[str, Any]:
        return {"datasource": INFLUXDB, "query": self.query, "refId": self.refId}


@attr.s
class PromTarget:
    """A PromQL query to a Prometheus data source."""

    expr: Any = attr.ib(validator=attr.validators.instance_of(str))
    legendFormat: Any = attr.ib(default="")  # noqa: N815
    refId: Any = attr.ib(default="A")  # noqa: N815
    instant: Any = attr.ib(default=False)

    def to_json_data(self) -> dict[str, Any]:
        return {
            "datasource": PROMETHEUS,
            "expr": self.expr,
            "legendFormat": self.legendFormat,
            "refId": self.refId,
            "instant": self.instant,
            "range": not self.instant,
        }


def _legend(*calcs: str, shown: bool = True, placement: str = "bottom") -> dict[str, Any]:
    mode = "table" if calcs else "list"
    return {"showLegend": shown, "displayMode": mode, "placement": placement, "calcs": list(calcs)}


_TOOLTIP = {"mode": "multi", "sort": "desc"}


# Not typed: mypy would leave out what grafanalib, which is untyped, defines in the base.
panel: Any = attr.s


@panel
class _Modern(grafana.Panel):  # type: ignore[misc]
    """What all panels here share: a unit, decimals, overrides by column, and links in their cells."""

    unit: Any = attr.ib(default="")
    decimals: Any = attr.ib(default=None)
    displayName: Any = attr.ib(default=None)  # noqa: N815
    overrides: Any = attr.ib(factory=list)
    custom: Any = attr.ib(factory=dict)
    options: Any = attr.ib(factory=dict)
    kind = ""

    def _options(self) -> dict[str, Any]:
        return {}

    def _custom(self) -> dict[str, Any]:
        return {}

    def to_json_data(self) -> dict[str, Any]:
        defaults = {
            "unit": self.unit or None,
            "decimals": self.decimals,
            "displayName": self.displayName,
            "color": {"mode": "palette-classic"},
            "custom": {**self._custom(), **self.custom},
        }
        return self.panel_json(  # type: ignore[no-any-return]
            {
                "type": self.kind,
                "fieldConfig": {"defaults": defaults, "overrides": self.overrides},
                "options": {**self._options(), **self.options},
            }
        )


def _axis(label: str, logarithmic: bool) -> dict[str, Any]:
    scale = {"type": "log", "log": 10} if logarithmic else {"type": "linear"}
    return {"axisLabel": label, "axisPlacement": "auto", "scaleDistribution": scale}


@panel
class Trend(_Modern):
    """Grafana's ``trend``: numbers over a number that rises, as over an image's size. One frame.

    :param xField: the column of the x axis
    :param bands: pairs of columns, (lower, upper), with the area between them filled
    """

    xField: Any = attr.ib(default="")  # noqa: N815
    axisLabel: Any = attr.ib(default="")  # noqa: N815
    logarithmic: Any = attr.ib(default=False)
    bands: Any = attr.ib(factory=tuple)
    kind = "trend"

    def _custom(self) -> dict[str, Any]:
        lines = {"drawStyle": "line", "lineWidth": 2, "showPoints": "always", "pointSize": 6, "spanNulls": True}
        return {**lines, **_axis(self.axisLabel, self.logarithmic)}

    def _options(self) -> dict[str, Any]:
        return {"legend": _legend(), "tooltip": _TOOLTIP, "xField": self.xField}

    def to_json_data(self) -> dict[str, Any]:
        data = super().to_json_data()
        filled = [
            override(upper, **{"custom.fillBelowTo": lower, "custom.fillOpacity": 18}) for lower, upper in self.bands
        ]
        data["fieldConfig"]["overrides"] = [*data["fieldConfig"]["overrides"], *filled]
        return data


@panel
class Lines(_Modern):
    """``timeseries``.

    :param stacked: one upon the other, as areas
    :param bars: bars in place of lines
    """

    axisLabel: Any = attr.ib(default="")  # noqa: N815
    logarithmic: Any = attr.ib(default=False)
    stacked: Any = attr.ib(default=False)
    bars: Any = attr.ib(default=False)
    calcs: Any = attr.ib(factory=tuple)
    kind = "timeseries"

    def _custom(self) -> dict[str, Any]:
        style = {"drawStyle": "bars" if self.bars else "line", "lineWidth": 1, "fillOpacity": 60 if self.bars else 12}
        stacking = {"stacking": {"mode": "normal", "group": "A"}} if self.stacked else {}
        return {
            **style,
            "showPoints": "never" if self.bars else "auto",
            **stacking,
            **_axis(self.axisLabel, self.logarithmic),
        }

    def _options(self) -> dict[str, Any]:
        return {"legend": _legend(*self.calcs), "tooltip": _TOOLTIP}


@panel
class Bars(_Modern):
    """``barchart``: a group or stack of bars a row, distinguished by the column ``xField``."""

    xField: Any = attr.ib(default="")  # noqa: N815
    axisLabel: Any = attr.ib(default="")  # noqa: N815
    stacked: Any = attr.ib(default=False)
    horizontal: Any = attr.ib(default=False)
    logarithmic: Any = attr.ib(default=False)
    kind = "barchart"

    def _custom(self) -> dict[str, Any]:
        return {"fillOpacity": 80, "lineWidth": 1, **_axis(self.axisLabel, self.logarithmic)}

    def _options(self) -> dict[str, Any]:
        return {
            "xField": self.xField,
            "orientation": "horizontal" if self.horizontal else "vertical",
            "stacking": "normal" if self.stacked else "none",
            "showValue": "auto",
            "barWidth": 0.9,
            "groupWidth": 0.75,
            "xTickLabelRotation": 0,
            "xTickLabelMaxLength": 40,
            "fullHighlight": False,
            "legend": _legend(),
            "tooltip": _TOOLTIP,
        }


@panel
class Distribution(_Modern):
    """``histogram`` of raw values; Grafana makes the buckets."""

    bucketCount: Any = attr.ib(default=40)  # noqa: N815
    kind = "histogram"

    def _custom(self) -> dict[str, Any]:
        return {"fillOpacity": 55, "lineWidth": 1}

    def _options(self) -> dict[str, Any]:
        return {"bucketCount": self.bucketCount, "combine": False, "legend": _legend(), "tooltip": _TOOLTIP}


@panel
class DurationHeatmap(_Modern):
    """``heatmap`` of raw values over time, made by Grafana, on a logarithmic axis."""

    kind = "heatmap"

    def _options(self) -> dict[str, Any]:
        scale = {"type": "log", "log": 2}
        return {
            "calculate": True,
            "calculation": {
                "xBuckets": {"mode": "count", "value": "60"},
                "yBuckets": {"mode": "count", "value": "4", "scale": scale},
            },
            "color": {
                "mode": "scheme",
                "scheme": "Blues",
                "fill": "dark-blue",
                "scale": "exponential",
                "exponent": 0.5,
                "steps": 64,
                "reverse": False,
            },
            "cellGap": 1,
            "yAxis": {"unit": self.unit, "axisPlacement": "left", "axisLabel": "pull duration"},
            "legend": {"show": True},
            "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": True},
            "showValue": "never",
            "exemplars": {"color": "rgba(255,0,255,0.7)"},
        }


@panel
class Figures(_Modern):
    """``stat``: a number or a few.

    :param values: all rows, in place of the last value of each series
    """

    values: Any = attr.ib(default=False)
    background: Any = attr.ib(default=False)
    steps: Any = attr.ib(factory=lambda: [{"color": "text", "value": None}])
    noValue: Any = attr.ib(default="none")  # noqa: N815
    kind = "stat"

    def _options(self) -> dict[str, Any]:
        return {
            "reduceOptions": {"values": self.values, "calcs": ["lastNotNull"], "fields": ""},
            "colorMode": "background" if self.background else "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "textMode": "auto",
            "wideLayout": True,
            "showPercentChange": False,
            "percentChangeColorMode": "standard",
        }

    def to_json_data(self) -> dict[str, Any]:
        data = super().to_json_data()
        defaults = data["fieldConfig"]["defaults"]
        del defaults["custom"]  # a stat has none
        defaults["color"] = {"mode": "thresholds"}
        defaults["noValue"] = self.noValue
        # The first step begins at minus infinity, which JSON writes as null; ``modern`` leaves nulls out.
        defaults["thresholds"] = {"mode": "absolute", "steps": self.steps}
        return data


@panel
class Rows(_Modern):
    """``table``. Its cells are plain text: never HTML, Markdown or a link that an event wrote.

    :param sort: the column by which it is sorted, falling
    """

    sort: Any = attr.ib(default="")
    kind = "table"

    def _custom(self) -> dict[str, Any]:
        return {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": True, "filterable": True}

    def _options(self) -> dict[str, Any]:
        footer = {"show": False, "reducer": ["sum"], "countRows": False}
        order = {"sortBy": [{"displayName": self.sort, "desc": True}]} if self.sort else {}
        return {"showHeader": True, "cellHeight": "sm", "frameIndex": 0, "footer": footer, **order}


def override(column: str, **properties: Any) -> dict[str, Any]:
    """How one column differs: ``override("p95", unit="s")``."""
    return {
        "matcher": {"id": "byName", "options": column},
        "properties": [{"id": name, "value": value} for name, value in properties.items()],
    }


def coloured(series: str, colour: str) -> dict[str, Any]:
    """A colour of its own for what has these words in its name or in its label."""
    fixed = {"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}
    return {"matcher": {"id": "byRegexp", "options": rf"/(^|\W){series}\W*$/"}, "properties": [fixed]}


def units(unit: str, columns: Iterable[str]) -> list[dict[str, Any]]:
    return [override(column, unit=unit) for column in columns]


def in_order(*columns: str) -> dict[str, Any]:
    """The transformation that puts a table's columns in this order."""
    places = {column: place for place, column in enumerate(columns)}
    return {"id": "organize", "options": {"indexByName": places, "excludeByName": {}, "renameByName": {}}}
