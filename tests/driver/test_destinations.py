"""Where a sweep's records go: who decides, what is kept, what is refused before anything is made."""

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from driver import cli
from driver.clusters.collecting import collector_environment
from driver.errors import UsageError
from driver.planning.study import Study, encode_study
from driver.recording.destinations import (
    INFLUX_VARIABLE,
    KAFKA_VARIABLE,
    AskedDestination,
    check_reachable,
    check_same_destination,
    destination_of_new_run,
)
from driver.sweep import run_name
from pullstudy.store.destination import Destination
from pullstudy.store.embedded.ledger import ClusterRow, Ledger, Run
from tests.stack.port import free_port
from tests.store.influx_server import Trouble, fake_influx

Capture = pytest.CaptureFixture[str]
TOKEN = "s3cret-t0ken"
ENVIRONMENT = {"INFLUXDB_V2_TOKEN": TOKEN, "INFLUXDB_V2_ORG": "lab"}
INFLUX = "http://influx:8086"
KEPT = Destination(kafka="broker:9092", topic="pulls", influx=INFLUX, organisation="lab", bucket="pulls")
NOWHERE = Destination()


def test_a_flag_goes_before_the_environment_and_that_before_the_study() -> None:
    study = Destination(influx="http://study:1", kafka="study:1", bucket="study", topic="t")
    variables = {**ENVIRONMENT, INFLUX_VARIABLE: "http://variable:1", KAFKA_VARIABLE: "variable:1"}
    found = destination_of_new_run(AskedDestination(influx=INFLUX), study, variables)
    assert (found.influx, found.kafka, found.bucket, found.topic) == (INFLUX, "variable:1", "study", "t")
    found = destination_of_new_run(AskedDestination(), study, ENVIRONMENT)
    assert (found.influx, found.kafka) == ("http://study:1", "study:1")


def test_names_that_are_not_given_are_settled_and_kept_without_secrets() -> None:
    variables = {**ENVIRONMENT, "INFLUXDB_V2_BUCKET": "b", "KAFKA_TOPIC": "t", "KAFKA_SASL_PASSWORD": TOKEN}
    found = destination_of_new_run(AskedDestination(influx=f"{INFLUX}/", kafka="broker:9092"), NOWHERE, variables)
    assert found == Destination(kafka="broker:9092", topic="t", influx=INFLUX, organisation="lab", bucket="b")
    assert TOKEN not in encode_study(Study(collect=found))
    assert found.flags() == ["--kafka", "broker:9092", "--influx", INFLUX]


def test_a_variable_that_only_says_where_influxdb_is_sends_no_sweep_there() -> None:
    assert destination_of_new_run(AskedDestination(), NOWHERE, {**ENVIRONMENT, "INFLUXDB_V2_URL": INFLUX}) == NOWHERE


def test_the_collector_gets_the_runs_own_names_and_our_secrets() -> None:
    ours = {
        **ENVIRONMENT,
        "PULLSTUDY_COLLECTOR_KAFKA": "other:1",
        "PULLSTUDY_COLLECTOR_INFLUX": "http://other:1",
        "INFLUXDB_V2_BUCKET": "other",
        "HOME": "/h",
    }
    assert collector_environment(ours, KEPT) == {
        "INFLUXDB_V2_TOKEN": TOKEN,
        "INFLUXDB_V2_ORG": "lab",
        "INFLUXDB_V2_BUCKET": "pulls",
        "KAFKA_TOPIC": "pulls",
        "HOME": "/h",
    }
    assert not {"PULLSTUDY_COLLECTOR_KAFKA", "PULLSTUDY_COLLECTOR_INFLUX"} & collector_environment(ours, NOWHERE).keys()


@pytest.mark.parametrize(
    "asked",
    [AskedDestination(), AskedDestination(influx=INFLUX), AskedDestination(kafka="broker:9092", influx=f"{INFLUX}/")],
)
def test_a_run_goes_on_where_its_records_are(asked: AskedDestination) -> None:
    check_same_destination(asked, None, KEPT, ENVIRONMENT)
    check_same_destination(asked, NOWHERE, KEPT, ENVIRONMENT)


@pytest.mark.parametrize(
    ("asked", "study"),
    [
        (AskedDestination(influx="http://other:1"), None),
        (AskedDestination(), Destination(influx=INFLUX, bucket="other")),
    ],
)
def test_a_run_never_goes_on_elsewhere(asked: AskedDestination, study: Destination | None) -> None:
    with pytest.raises(UsageError, match=r"are in bucket pulls of InfluxDB http://influx:8086, through topic pulls"):
        check_same_destination(asked, study, KEPT, ENVIRONMENT)
    with pytest.raises(UsageError, match="are in the study's own file"):
        check_same_destination(asked, study, NOWHERE, ENVIRONMENT)


def test_runs_that_share_a_store_have_names_of_their_own() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert run_name(Study(collect=KEPT), at) == "run-20260102T030405Z"
    assert run_name(Study(), at) == "run1"


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        ("--kafka broker:9092", {}, "--kafka broker:9092 alone: what is published cannot be read back"),
        ("--influx http://influx:8086", {}, "no token; set INFLUXDB_V2_TOKEN"),
        ("--influx http://influx:8086", {"INFLUXDB_V2_TOKEN": TOKEN}, "no organisation; set INFLUXDB_V2_ORG"),
        ("--influx influx", ENVIRONMENT, "'influx' is no address; write it as http://HOST:8086"),
        (f"--influx http://a:{TOKEN}@influx", ENVIRONMENT, "no user or password in the address"),
        (
            "--influx http://127.0.0.1:1",
            ENVIRONMENT,
            "InfluxDB http://127.0.0.1:1, bucket pulls: Cannot connect to host 127.0.0.1:1: connection refused",
        ),
    ],
)
def test_what_is_wrong_is_one_line_before_anything_is_made(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    words: str,
    environment: dict[str, str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("INFLUXDB_V2_TOKEN", "INFLUXDB_V2_ORG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cli.run(["sweep", "--sizes", "2", *words.split()]) == 2
    complained = capsys.readouterr().err
    assert said in complained
    assert complained.count("\n") == 1
    assert TOKEN not in complained
    assert list(tmp_path.iterdir()) == []


async def test_a_bucket_that_may_not_be_written_is_found_out() -> None:
    async with fake_influx() as fake:
        destination = msgspec.structs.replace(KEPT, influx=fake.url, kafka="")
        await check_reachable(destination, ENVIRONMENT)
        body = json.dumps({"code": "forbidden", "message": "insufficient permissions for write"})
        fake.troubles.append(Trouble(status=403, body=body))
        with pytest.raises(UsageError, match="bucket pulls: cannot be written: 403 insufficient permissions"):
            await check_reachable(destination, ENVIRONMENT)
        assert [measurement for measurement, _, _ in fake.points] == ["pullstudy_check"]


async def test_a_broker_that_is_not_there_is_found_out() -> None:
    async with fake_influx() as fake:
        destination = msgspec.structs.replace(KEPT, influx=fake.url, kafka=f"127.0.0.1:{free_port()}")
        with pytest.raises(
            UsageError, match=rf"Kafka {destination.kafka} cannot be reached: connection refused; is a broker"
        ):
            await check_reachable(destination, ENVIRONMENT)


def test_status_and_down_ask_neither_the_store_nor_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.delenv("INFLUXDB_V2_TOKEN", raising=False)
    study = Study(collect=msgspec.structs.replace(KEPT, influx="http://127.0.0.1:1"))
    with closing(Ledger(tmp_path, create=True)) as ledger:
        run = Run(run="run-x", provider="sim", study=encode_study(study), started_at=datetime.now(UTC))
        ledger.begin(run, [ClusterRow(cluster="sim-pulling-study-2", run="run-x", size=2)])
    assert cli.run(["status", "--out", str(tmp_path)]) == 0
    assert cli.run(["down", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "records of run-x: bucket pulls of InfluxDB http://127.0.0.1:1, through topic pulls" in said
    assert "nothing is up" in said
