"""The dashboards' JSON: the same every time, what Grafana's schema knows, and bound to the layout of the points.

UPDATE_GOLDEN=1 writes the golden files anew; look at the difference before it is committed.
"""

import json
import os
import re
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.alerting import RuleGroup
from grafana_foundation_sdk.models.dashboard import Dashboard
from hypothesis import given
from hypothesis import strategies as st

from dashboards.alerts import build as build_alerts
from dashboards.build import GRAFANA_RULES, dashboards, files, write_files
from dashboards.columns import Columns, pull
from dashboards.errors import SchemaError
from dashboards.flux import Bucket
from pullstudy.analysis.report.colours import PHASE_COLOURS, size_colours
from pullstudy.pulls.metric_names import METRICS
from pullstudy.store.influx.point_layout import MEASUREMENTS, MILESTONE, PULL
from tests.dashboards.variables import substituted

GOLDEN = Path(__file__).with_name("golden")
SOURCE = Bucket("pulls")
BUILT = files(SOURCE)
BOARDS = dashboards(SOURCE)
OF_PROMETHEUS = ("pullstudy-collector", "pullstudy-prometheus")
PANELS = [(uid, panel) for uid, board in BOARDS.items() for panel in board["panels"] if panel["type"] != "row"]


NAMES = [f"{uid}: {panel['title']}" for uid, panel in PANELS]


def read(directory: Path) -> dict[str, bytes]:
    found = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in found}


def test_two_builds_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_files(tmp_path / name, SOURCE)
    assert read(tmp_path / "first") == read(tmp_path / "second") == BUILT


@pytest.mark.parametrize("name", BUILT)
def test_the_json_is_as_it_was_last_looked_at(name: str) -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        (GOLDEN / name).parent.mkdir(parents=True, exist_ok=True)
        (GOLDEN / name).write_bytes(BUILT[name])
    assert BUILT[name] == (GOLDEN / name).read_bytes()


def lost(before: Any, after: Any, place: str = "") -> Iterator[str]:
    """What a value does not have any more."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key in after:
                yield from lost(value, after[key], f"{place}.{key}")
            else:
                yield f"{place}.{key} is unknown"
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from lost(one, other, f"{place}[{number}]")
    elif before != after:
        yield f"{place}: {before!r} became {after!r}"


@pytest.mark.parametrize("uid", BOARDS)
def test_grafanas_schema_knows_every_key_of_a_dashboard(uid: str) -> None:
    plugins.register_default_plugins()
    assert list(lost(BOARDS[uid], encoded(Dashboard.from_json(BOARDS[uid])))) == []


def test_grafanas_schema_knows_every_key_of_the_rules() -> None:
    plugins.register_default_plugins()
    data = json.loads(json.dumps(build_alerts(SOURCE)))
    assert list(lost(data, encoded(RuleGroup.from_json(data)))) == []


def encoded(value: object) -> Any:
    return json.loads(json.dumps(value, cls=JSONEncoder))


def test_rules_in_a_file_are_those_that_are_pushed() -> None:
    (group,) = json.loads(BUILT[GRAFANA_RULES])["groups"]
    pushed = json.loads(json.dumps(build_alerts(SOURCE)["rules"]))
    assert [
        each | {"orgID": 1, "folderUID": "pullstudy", "ruleGroup": "pullstudy"} for each in group["rules"]
    ] == pushed


def test_a_column_that_the_sink_does_not_write_fails_the_build() -> None:
    with pytest.raises(SchemaError, match="'pull' has no column 'took_seconds'"):
        _ = pull.took_seconds
    with pytest.raises(SchemaError, match="'pod' is no tag"):
        Columns(PULL).tag_name("pod")


@pytest.mark.parametrize(
    ("uid", "panel"), PANELS, ids=lambda value: value if isinstance(value, str) else value["title"]
)
def test_every_panel_says_what_it_shows_and_in_which_unit(uid: str, panel: dict[str, Any]) -> None:
    assert len(panel["description"]) > 10
    assert panel["targets"]
    defaults, overrides = panel["fieldConfig"]["defaults"], panel["fieldConfig"]["overrides"]
    assert defaults.get("unit") or overrides or panel["type"] == "table"


def test_dashboards_of_pulls_say_whose_they_are_and_which_names_are_simulated() -> None:
    heads = {uid: board["panels"][0]["title"] for uid, board in BOARDS.items() if uid not in OF_PROMETHEUS}
    assert len(heads) == 5
    assert set(heads.values()) == {"Clusters: ${cluster} (sim-... and kwok-... are simulated)"}


@pytest.mark.parametrize(
    "called", ["{}", "pull_seconds {}", 'pull_seconds {{series="{}"}}'], ids=["name", "value", "labels"]
)
@pytest.mark.parametrize(
    ("titles", "colours"),
    [
        (
            ("Median by image size and nodes", "Histogram of pull duration, linear", "Histogram of pull duration, log"),
            dict(zip(("4 nodes", "64 nodes", "256 nodes"), itemgetter(0, 4, 6)(size_colours(range(7))), strict=True)),
        ),
        (
            ("Where a job's makespan goes", "The median pod's phases"),
            {
                "until pulling": PHASE_COLOURS["scheduled_to_pulling"],
                "until pulled": PHASE_COLOURS["pulling_to_pulled"],
                "until created": PHASE_COLOURS["pulled_to_created"],
            },
        ),
    ],
    ids=["sizes", "phases"],
)
def test_sizes_and_phases_have_the_colours_of_the_report(
    titles: tuple[str, ...], colours: dict[str, str], called: str
) -> None:
    panels = [panel for _, panel in PANELS if panel["title"].startswith(titles)]
    assert len(panels) == len(titles)
    for panel in panels:
        found = {name: colours_of(panel, called.format(name)) for name in colours}
        assert found == {name: [colour] for name, colour in colours.items()}


def colours_of(panel: dict[str, Any], series: str) -> list[str]:
    """By all overrides of the panel: Grafana takes an expression between slashes, and looks for it anywhere."""
    return [
        item["value"]["fixedColor"]
        for each in panel["fieldConfig"]["overrides"]
        for item in each["properties"]
        if item["id"] == "color" and re.search(each["matcher"]["options"].strip("/"), series)
    ]


def test_every_dashboard_links_to_the_others() -> None:
    for board in BOARDS.values():
        assert board["links"][0]["tags"] == board["tags"] == ["pullstudy"]
        assert board["links"][0]["keepTime"]
        assert board["links"][0]["includeVars"]


def test_panels_do_not_overlap_and_have_numbers_of_their_own() -> None:
    for board in BOARDS.values():
        cells = [
            (x, y)
            for panel in board["panels"]
            for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
            for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
        ]
        assert len(cells) == len(set(cells))
        numbers = [panel["id"] for panel in board["panels"]]
        assert len(numbers) == len(set(numbers))


def queries(data: Any, key: str) -> Iterator[str]:
    if isinstance(data, dict):
        for name, value in data.items():
            if name == key and isinstance(value, str):
                yield value
            else:
                yield from queries(value, key)
    elif isinstance(data, list):
        for value in data:
            yield from queries(value, key)


def test_rules_and_panels_ask_for_metrics_that_are_defined() -> None:
    names = {metric.name for metric in METRICS}
    asked = [*(query for uid in OF_PROMETHEUS for query in queries(BOARDS[uid], "expr"))]
    asked += queries(build_alerts(SOURCE), "expr")
    found = {
        re.sub("_(bucket|count)$", "", name) for name in re.findall(r"\b(?:pullstudy|process)_\w+", " ".join(asked))
    }
    assert found <= names
    assert found


def test_flux_asks_for_measurements_that_are_written() -> None:
    names = {layout.name for layout in MEASUREMENTS}
    asked = " ".join(query for board in BOARDS.values() for query in queries(board, "query"))
    assert set(re.findall(r'_measurement == "(\w+)"', asked)) <= names
    assert {PULL.name, MILESTONE.name} <= set(re.findall(r'_measurement == "(\w+)"', asked))


@given(st.text(max_size=30))
def test_a_bucket_and_a_chosen_value_stay_text(text: str) -> None:
    hostile = text + '") |> drop() //${1}'
    query = next(queries(dashboards(Bucket(hostile))["pullstudy-study"], "query"))
    assert "|> drop() //${1}" not in query
    chosen = substituted("r.image =~ /^(?:${image:regex})$/", {"image": [hostile]})
    inner = chosen.removeprefix("r.image =~ /^(?:").removesuffix(")$/")
    assert not re.search(r"(?<!\\)(?:\\\\)*/", inner)


def test_cells_are_never_markup() -> None:
    kinds = {
        name for board in BOARDS.values() for name in re.findall(r'"cellOptions": \{"type": "(\w+)"', json.dumps(board))
    }
    assert kinds == {"auto"}
    links = [url for board in BOARDS.values() for url in queries(board, "url") if "${__value" in url]
    assert all("${__value.raw:percentencode}" in url and url.startswith("/d/") for url in links)
