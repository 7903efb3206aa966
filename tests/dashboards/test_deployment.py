"""The compose file and Grafana's provisioning: pinned, watched, and of the same names as the dashboards."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.build import files, write_files
from dashboards.flux import Bucket
from dashboards.panels import INFLUXDB_UID, PROMETHEUS_UID
from pullstudy.store.influx.settings import DEFAULT_BUCKET
from tests.stack.home import StackHome

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())


def test_every_image_is_of_one_version() -> None:
    for name, service in COMPOSE["services"].items():
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), name


def test_every_server_says_whether_it_is_well_and_is_waited_for() -> None:
    servers = {name for name, service in COMPOSE["services"].items() if "healthcheck" in service}
    assert servers == set(COMPOSE["services"])
    for service in COMPOSE["services"].values():
        for name, how in service.get("depends_on", {}).items():
            assert name in servers
            assert how == {"condition": "service_healthy"}


def test_ports_are_open_on_loopback_only_and_passwords_stand_nowhere() -> None:
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        secrets = [value for key, value in service.get("environment", {}).items() if re.search("PASSWORD|TOKEN", key)]
        assert all(value.startswith("${") for value in secrets)


def test_the_data_sources_are_those_that_panels_ask() -> None:
    path = ROOT / "deploy" / "grafana" / "provisioning" / "datasources" / "pullstudy.yaml"
    influx, prometheus = yaml.safe_load(path.read_text())["datasources"]
    assert (influx["uid"], prometheus["uid"]) == (INFLUXDB_UID, PROMETHEUS_UID)
    assert influx["jsonData"]["defaultBucket"] == DEFAULT_BUCKET
    assert COMPOSE["services"]["influxdb"]["environment"]["DOCKER_INFLUXDB_INIT_BUCKET"] == DEFAULT_BUCKET


def test_every_file_that_is_mounted_is_in_the_repository_or_built() -> None:
    built = {f"./grafana/dashboards/{name}" for name in files(Bucket(DEFAULT_BUCKET))} | {"./grafana/dashboards"}
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", ()):
            place = volume.split(":")[0]
            assert not place.startswith("./") or place in built or (ROOT / "deploy" / place).exists(), place


def test_prometheus_scrapes_services_that_listen() -> None:
    jobs = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yaml").read_text())["scrape_configs"]
    targets = {target.split(":")[0] for job in jobs for config in job["static_configs"] for target in config["targets"]}
    assert targets <= set(COMPOSE["services"])
    for name in ("collector", "sink"):
        assert "--listen=:8080" in COMPOSE["services"][name]["command"]


def test_what_the_services_run_is_a_command_that_there_is() -> None:
    """The options exist; what they name is the compose file's own network."""
    for name in ("collector", "sink"):
        words = [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", word) for word in COMPOSE["services"][name]["command"]]
        shown = subprocess.run(
            [Path(sys.executable).with_name("collector"), *words, "--show-settings=json"],
            env={"PATH": os.environ["PATH"], "INFLUXDB_V2_ORG": "o", "INFLUXDB_V2_TOKEN": "t"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert shown.returncode == 0, shown.stderr


@pytest.mark.real
@pytest.mark.parametrize("profile", ["", "collect"])
def test_the_compose_specifications_own_checker_takes_the_file(
    profile: str, stack_home: StackHome, tmp_path: Path
) -> None:
    done = checked(stack_home, (ROOT / "deploy" / "compose.yaml").read_text(), tmp_path, profile)
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    assert {"kafka", "influxdb", "prometheus", "grafana"} <= services.keys()


@pytest.mark.real
@pytest.mark.parametrize(("right", "wrong"), [("retries: 12", "retrys: 12"), ("service_healthy", "service_well")])
def test_the_checker_refuses_a_file_that_is_none(right: str, wrong: str, stack_home: StackHome, tmp_path: Path) -> None:
    text = (ROOT / "deploy" / "compose.yaml").read_text()
    assert checked(stack_home, text.replace(right, wrong), tmp_path).returncode != 0


@pytest.mark.real
def test_promtool_takes_the_scrape_configuration(stack_home: StackHome, tmp_path: Path) -> None:
    write_files(tmp_path, Bucket(DEFAULT_BUCKET))
    text = (ROOT / "deploy" / "prometheus" / "prometheus.yaml").read_text()
    (tmp_path / "prometheus.yaml").write_text(text.replace("/etc/prometheus/rules", str(tmp_path / "rules")))
    # The checker reads every rule file that the pattern matches: Grafana's own lies elsewhere in a container.
    (tmp_path / "rules" / "grafana.yaml").unlink()
    command = [stack_home.program("promtool"), "check", "config", tmp_path / "prometheus.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 rule files found" in done.stdout


def checked(home: StackHome, text: str, directory: Path, profile: str = "") -> "subprocess.CompletedProcess[str]":
    # Its own interpolation looks nothing up: values that are required are filled in before.
    (directory / "compose.yaml").write_text(re.sub(r"\$\{\w+:\?[^}]*\}", "x", text))
    return subprocess.run(
        [home.program("compose-spec"), "-format", "json", directory / "compose.yaml"],
        env={"PATH": os.environ["PATH"], "COMPOSE_PROFILES": profile},
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
    )
