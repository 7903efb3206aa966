"""A dashboard as a page: panels in rows from left to right, variables above, links to the other dashboards."""

from collections.abc import Sequence
from typing import Any

from grafanalib import core as grafana

from dashboards.columns import job_phases, pull, pull_cache
from dashboards.flux import (
    CACHE,
    CLUSTER,
    IMAGE,
    LAYERS,
    LAYERS_STATED,
    NODE,
    RUN,
    SHOWN_TIMES,
    SIZE,
    UNKNOWN_CACHE,
    Bucket,
    program,
    with_columns,
)
from dashboards.panels import INFLUXDB, WIDTH, modern, without_old_keys
from pullstudy.analysis.reading.study import SIMULATED_PREFIXES

TAG = "pullstudy"
SCHEMA_VERSION = 41  # of Grafana 11.6
ALL = {"selected": True, "text": ["All"], "value": ["$__all"]}
FIRST: dict[str, str] = {}  # Grafana takes the first that the query offers
Row = tuple[int, Sequence[tuple[int, Any]]]  # height, and panels with their widths
Json = dict[str, Any]


def heading(title: str) -> Row:
    """A row's heading. Not grafanalib's, which writes a panel's keys that a row does not have."""
    return (1, [(WIDTH, {"type": "row", "title": title, "collapsed": False, "panels": []})])


def clusters_heading() -> Row:
    """Which clusters the panels show, and which names stand for simulated ones."""
    names = " and ".join(f"{prefix}..." for prefix in SIMULATED_PREFIXES)
    return heading(f"Clusters: ${{{CLUSTER}}} ({names} are simulated)")


def place(rows: Sequence[Row]) -> list[Json]:
    """The panels' JSON with their places and numbers. A number stays while the panels before it do."""
    placed: list[Json] = []
    y = 0
    for height, panels in rows:
        x = 0
        for width, panel in panels:
            data = without_old_keys(modern(panel))
            data |= {"id": len(placed) + 1, "gridPos": {"h": height, "w": width, "x": x, "y": y}}
            placed.append(data)
            x += width
        assert x <= WIDTH, f"a row is {x} columns wide"
        y += height
    return placed


def dashboard(
    uid: str,
    title: str,
    description: str,
    rows: Sequence[Row],
    *,
    variables: Sequence[grafana.Template] = (),
    since: str = "now-7d",
    until: str = "now+2d",
    refresh: str = "",
) -> Json:
    """One dashboard's JSON. It ends in the future, since a simulator's clock runs ahead of the world's."""
    made = grafana.Dashboard(
        title=title,
        uid=uid,
        description=description,
        tags=[TAG],
        time=grafana.Time(since, until),
        refresh=refresh,
        templating=grafana.Templating(list=list(variables)),
        links=[
            grafana.DashboardLink(
                title="pullstudy", type="dashboards", tags=[TAG], asDropdown=False, includeVars=True, keepTime=True
            )
        ],
        timezone="browser",
        schemaVersion=SCHEMA_VERSION,
        graphTooltip=grafana.GRAPH_TOOLTIP_MODE_SHARED_CROSSHAIR,
    )
    data = {**modern(made), "panels": place(rows), "editable": True}
    data["templating"] = {"list": [_variable(variable) for variable in variables]}
    return {key: value for key, value in without_old_keys(data).items() if key != "timepicker"} | {"editable": True}


_VARIABLE_KEYS = ("allValue", "datasource", "hide", "includeAll", "label", "multi", "name", "query", "refresh", "sort")


def _variable(template: grafana.Template) -> Json:
    data: Json = modern(template)
    kept = {key: data[key] for key in (*_VARIABLE_KEYS, "type") if key in data}
    return {**kept, "current": ALL if template.includeAll else FIRST, "options": [], "regex": ""}


def _choice(name: str, label: str, query: str, sort: int = grafana.SORT_ALPHA_ASC) -> grafana.Template:
    return grafana.Template(
        name=name,
        label=label,
        query=query,
        dataSource=INFLUXDB,
        includeAll=True,
        multi=True,
        # Chooses rows without the column too. Grafana puts it in as it is.
        allValue=".*",
        refresh=grafana.REFRESH_ON_TIME_RANGE_CHANGE,
        sort=sort,
    )


def _values(rows: str, column: str) -> str:
    return f'{rows} |> group() |> distinct(column: "{column}") |> keep(columns: ["_value"])'


def place_variables(bucket: Bucket) -> list[grafana.Template]:
    """Cluster, run and size."""
    rows = bucket.rows(SHOWN_TIMES, f"{pull.of_measurement()} and {pull.of_fields(pull.count)}")
    numeric = grafana.SORT_NUMERIC_ASC
    return [
        _choice(CLUSTER, "Cluster", _values(rows, pull.tag_name("cluster"))),
        _choice(RUN, "Run", _values(rows, pull.tag_name("run"))),
        _choice(SIZE, "Nodes in the cluster", _values(rows, pull.tag_name("size")), numeric),
    ]


def pull_variables(bucket: Bucket) -> list[grafana.Template]:
    """What a pull can be chosen by: its place, its node and its image."""
    images = bucket.rows(SHOWN_TIMES, f"{pull.of_measurement()} and {pull.of_fields(pull.image)}")
    return [
        *place_variables(bucket),
        _choice(IMAGE, "Image", _values(images, "_value")),
        _choice(NODE, "Node", _nodes(bucket)),
    ]


def _nodes(bucket: Bucket) -> str:
    """In a bucket of layout 1 they are tags, of points that have no such field."""
    stored = f"{pull.of_measurement()} and {pull.of_fields(pull.node)}"
    tagged = f"{pull.of_measurement()} and {pull.of_fields(pull.event_uid)} and exists r.{pull.node}"
    fields = _values(bucket.rows(SHOWN_TIMES, stored), "_value")
    tags = f'{bucket.rows(SHOWN_TIMES, tagged)} |> keep(columns: ["{pull.node}"])'
    return f"union(tables: [{fields},\n  {_values(tags, pull.node)}])"


def layer_variable(bucket: Bucket) -> grafana.Template:
    """How many layers the image's tag states."""
    rows = bucket.rows(SHOWN_TIMES, f"{pull.of_measurement()} and {pull.of_fields(pull.image)}")
    images = f'images = {rows} |> group() |> distinct() |> rename(columns: {{_value: "{pull.image}"}})'
    query = program(images, _values(with_columns("images", _value=LAYERS_STATED), "_value"))
    return _choice(LAYERS, "Layers", query, grafana.SORT_NUMERIC_ASC)


def cache_variable(rows: str) -> grafana.Template:
    """One state at a time, cold before the others: pulls of two states never stand in one distribution."""
    return grafana.Template(
        name=CACHE,
        label="Cache before",
        query=rows,
        dataSource=INFLUXDB,
        refresh=grafana.REFRESH_ON_TIME_RANGE_CHANGE,
        sort=grafana.SORT_ALPHA_ASC,
        hide=grafana.SHOW,
    )


def pull_caches(bucket: Bucket) -> grafana.Template:
    """The states that pulls have. A pull that no driver accounted for is in none of them."""
    states = bucket.rows(SHOWN_TIMES, f"{pull.of_measurement()} and {pull_cache.of_fields(pull_cache.cache)}")
    none = f'array.from(rows: [{{_value: "{UNKNOWN_CACHE}"}}])'
    stated = '|> group() |> distinct() |> keep(columns: ["_value"])'
    return cache_variable(program(f"union(tables: [{states} {stated},\n  {none}])"))


def phase_caches(bucket: Bucket) -> grafana.Template:
    """The states that jobs have."""
    rows = bucket.rows(SHOWN_TIMES, f"{job_phases.of_measurement()} and {job_phases.of_fields(job_phases.at)}")
    return cache_variable(_values(rows, job_phases.tag_name("cache")))
