"""The compose file and Grafana's provisioning: pinned, watched, and of the same names as the dashboards."""

import re
from pathlib import Path
from typing import Any

import yaml

from dashboards.panels import INFLUXDB_UID
from store.influx_settings import DEFAULT_BUCKET

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())


def test_every_image_is_of_one_version() -> None:
    for name, service in COMPOSE["services"].items():
        assert re.search(r":\d+\.\d+\.\d+$", service["image"]), name


def test_every_server_says_whether_it_is_well_and_is_waited_for() -> None:
    servers = {name for name, service in COMPOSE["services"].items() if "healthcheck" in service}
    assert servers == {"kafka", "influxdb", "grafana"}
    for service in COMPOSE["services"].values():
        for name, how in service.get("depends_on", {}).items():
            assert name in servers
            assert how == {"condition": "service_healthy"}


def test_ports_are_open_on_loopback_only_and_passwords_stand_nowhere() -> None:
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        secrets = [value for key, value in service.get("environment", {}).items() if re.search("PASSWORD|TOKEN", key)]
        assert all(value.startswith("${") for value in secrets)


def test_the_data_source_is_the_one_that_panels_ask() -> None:
    path = ROOT / "deploy" / "grafana" / "provisioning" / "datasources" / "pullstudy.yaml"
    (source,) = yaml.safe_load(path.read_text())["datasources"]
    assert source["uid"] == INFLUXDB_UID
    assert source["jsonData"]["defaultBucket"] == DEFAULT_BUCKET
    assert COMPOSE["services"]["influxdb"]["environment"]["DOCKER_INFLUXDB_INIT_BUCKET"] == DEFAULT_BUCKET
