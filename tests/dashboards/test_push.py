"""Pushing to a Grafana: everything arrives, and again changes nothing."""

import copy
from pathlib import Path

import pytest

from dashboards.errors import GrafanaAddressError, GrafanaError
from dashboards.flux import Bucket
from dashboards.push import Grafana, push_all
from tests.dashboards.fake_grafana import TOKEN, fake_grafana

INFLUX = {"INFLUXDB_V2_URL": "http://influx:8086", "INFLUXDB_V2_ORG": "o", "INFLUXDB_V2_TOKEN": "t"}
SERVERS = {**INFLUX, "PROMETHEUS_URL": "http://prometheus:9090"}


def test_a_second_push_changes_nothing() -> None:
    with fake_grafana() as fake:
        grafana = Grafana.from_environment(fake.url, {"GRAFANA_TOKEN": TOKEN})
        push_all(grafana, Bucket("pulls"), SERVERS)
        first = copy.deepcopy(fake.kept)
        push_all(grafana, Bucket("pulls"), SERVERS)
        assert fake.kept == first
    assert {kind: len(kept) for kind, kept in first.items()} == {
        "folders": 1,
        "datasources": 2,
        "dashboards": 7,
        "rules": 1,
    }
    influx = first["datasources"]["pullstudy-influxdb"]
    assert influx["jsonData"]["version"] == "Flux"
    assert influx["secureJsonData"] == {"token": "t"}


def test_a_data_source_without_an_address_is_left_alone() -> None:
    with fake_grafana() as fake:
        push_all(Grafana.from_environment(fake.url, {"GRAFANA_TOKEN": TOKEN}), Bucket("pulls"), {})
        assert not fake.kept["datasources"]
        assert not [path for _, path in fake.asked if "datasources" in path]


def test_a_wrong_token_is_said_in_one_line_without_the_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("wrong-token\n")
    with fake_grafana() as fake:
        grafana = Grafana.from_environment(fake.url, {"GRAFANA_TOKEN_FILE": str(tmp_path / "token")})
        with pytest.raises(GrafanaError, match="401") as raised:
            push_all(grafana, Bucket("pulls"), {})
    assert "\n" not in str(raised.value)
    assert "wrong-token" not in f"{raised.value}{grafana!r}"


@pytest.mark.parametrize(
    ("url", "environment", "says"),
    [
        ("http://localhost:3000", {}, "no token; set GRAFANA_TOKEN"),
        ("localhost:3000", {"GRAFANA_TOKEN": "t"}, "is no address"),
        ("http://localhost:3000", {"GRAFANA_TOKEN_FILE": "/nowhere"}, "token file /nowhere"),
    ],
)
def test_wrong_use_says_what_to_do(url: str, environment: dict[str, str], says: str) -> None:
    with pytest.raises(GrafanaAddressError, match=says):
        Grafana.from_environment(url, environment)
