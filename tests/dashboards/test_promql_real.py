"""Prometheus' own word on rules and queries: promtool on the alert rules, and every query of the collector's board
on a real one that scrapes a real collector and a real sink, between Kafka and InfluxDB."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from dashboards.build import PROMETHEUS_RULES, dashboards, write_files
from dashboards.flux import Bucket
from dashboards.pull_metrics import RECORDED, recorded
from tests.collector.simulator import Simulator, simulator
from tests.stack.home import StackHome
from tests.stack.influx import Influx
from tests.stack.kafka import Kafka
from tests.stack.port import LOOPBACK, free_port
from tests.stack.process import Process
from tests.stack.prometheus import Prometheus
from tests.stack.server import answers
from tests.stack.wait import until

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="session")]
BOARDS = dashboards(Bucket("pulls"))
QUERIES = {
    f"{uid} {panel['id']} {panel['title']} {target['refId']}": target["expr"]
    for uid in ("pullstudy-collector", "pullstudy-prometheus")
    for panel in BOARDS[uid]["panels"]
    for target in panel.get("targets", ())
}
SECONDS = 60.0

# -- promtool --------------------------------------------------------------------------------------------------------

Case = tuple[dict[str, str], str, dict[str, str]]
"""Input series, when the rule fires and is quiet a minute before, labels of the alert."""

CASES: dict[str, Case] = {
    "PullstudyLag": ({'pullstudy_collector_lag_seconds{cluster="c"}': "0 301x20"}, "6m", {"cluster": "c"}),
    "PullstudySinkLag": ({'pullstudy_sink_lag_seconds{instance="i"}': "0 301x20"}, "6m", {"instance": "i"}),
    # Born above 0, after other kinds were there for long: increase() alone would never see it.
    "PullstudyRejects": (
        {
            'pullstudy_collector_rejects_total{cluster="c", kind="unreadable"}': "4x40",
            'pullstudy_collector_rejects_total{cluster="c", kind="unknown"}': "_x20 1x20",
        },
        "20m",
        {},
    ),
    "PullstudySpool": (
        {
            'pullstudy_collector_spool_bytes{cluster="c"}': "80 81x20",
            'pullstudy_collector_spool_limit_bytes{cluster="c"}': "100x20",
        },
        "6m",
        {"cluster": "c"},
    ),
    "PullstudyNotWatching": ({'pullstudy_collector_watching{cluster="c"}': "1 0x20"}, "6m", {"cluster": "c"}),
    # A day of pulls of at most 5 s, ten a minute, then one a minute of up to 60 s: these are 20 of an hour, and 5% of
    # it, after 22 minutes.
    "PullstudySlow": (
        {
            f"pullstudy_pull_duration_seconds_{name}": values
            for name, values in {
                'bucket{cluster="c", le="1"}': "0x1600",
                'bucket{cluster="c", le="5"}': "0+10x1440 14400x160",
                'bucket{cluster="c", le="60"}': "0+10x1440 14401+1x160",
                'bucket{cluster="c", le="+Inf"}': "0+10x1440 14401+1x160",
                'count{cluster="c"}': "0+10x1440 14401+1x160",
            }.items()
        },
        "1477m",
        {"cluster": "c"},
    ),
    "PullstudyFailing": ({'pullstudy_collector_records_total{cluster="c", outcome="failed"}': "0+1x30"}, "11m", {}),
}


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("built")
    write_files(directory, Bucket("pulls"))
    return directory / PROMETHEUS_RULES


async def promtool(home: StackHome, *words: str | Path) -> str:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        home.program("promtool"), *words, stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await child.communicate()
    assert child.returncode == 0, output.decode()
    return output.decode()


def written(rules: Path) -> dict[str, dict[str, Any]]:
    groups = json.loads(rules.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


async def test_promtool_finds_nothing_wrong_with_the_rules(stack_home: StackHome, rules: Path) -> None:
    assert f"SUCCESS: {len(CASES) + len(RECORDED)} rules found" in await promtool(
        stack_home, "check", "rules", "--lint=all", "--lint-fatal", rules
    )
    assert written(rules).keys() == CASES.keys()


@pytest.mark.parametrize("name", CASES)
async def test_a_rule_fires_when_it_should_and_not_before(
    name: str, stack_home: StackHome, rules: Path, tmp_path: Path
) -> None:
    series, fires_at, labels = CASES[name]
    rule = written(rules)[name]
    fired = {"exp_labels": labels | rule["labels"], "exp_annotations": rule["annotations"]}
    quiet_at = f"{int(fires_at.removesuffix('m')) - 1}m"

    def expected(at: str, alerts: list[dict[str, Any]]) -> dict[str, Any]:
        return {"eval_time": at, "alertname": name, "exp_alerts": alerts}

    test = {
        "interval": "1m",
        "input_series": [{"series": key, "values": values} for key, values in series.items()],
        "alert_rule_test": [expected(quiet_at, []), expected(fires_at, [fired])],
    }
    (tmp_path / "test.json").write_text(
        json.dumps({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": [test]})
    )
    assert "SUCCESS" in await promtool(stack_home, "test", "rules", tmp_path / "test.json")


async def test_no_rule_fires_where_nothing_is_scraped(stack_home: StackHome, rules: Path, tmp_path: Path) -> None:
    quiet = [{"eval_time": "30m", "alertname": name, "exp_alerts": []} for name in CASES]
    test = {"interval": "1m", "input_series": [{"series": "up", "values": "0x30"}], "alert_rule_test": quiet}
    (tmp_path / "test.json").write_text(
        json.dumps({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": [test]})
    )
    assert "SUCCESS" in await promtool(stack_home, "test", "rules", tmp_path / "test.json")


# -- a real scrape ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scraped:
    """A collector that has seen what its dashboard shows, and the Prometheus that scrapes it and its sink."""

    prometheus: Prometheus


@asynccontextmanager
async def listening(name: str, directory: Path, environment: dict[str, str], *words: str) -> AsyncIterator[str]:
    """A collector's command, once it answers; HOST:PORT."""
    place = f"{LOOPBACK}:{free_port()}"
    command = [str(Path(sys.executable).with_name("collector")), *words, "--listen", place]
    process = Process(name, command, directory, environment=environment)
    process.start()
    try:
        await until(lambda: answers(f"http://{place}/healthz"), SECONDS, f"{name} at {place}")
        yield place
    finally:
        await process.stop()


async def happen(sim: Simulator, kafka: Kafka, topic: str) -> None:
    """Pulls, failures, an event that is lost, words that nobody can read on either edge."""
    await sim.fault("pull-fails", kind="too_many_requests", probability=0.5, times=3)
    await sim.run_job("seen", 8, 9)
    await sim.until_pulled(8)
    await sim.fault("lose-events", reason="Pulled", probability=0.3)
    await sim.fault("garbage-line", text="<html>")
    await sim.run_job("seen-again", 8, 125)
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()
    await producer.send_and_wait(topic, b"no record of ours")
    await producer.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def scraped(
    stack_home: StackHome, kafka: Kafka, influx: Influx, rules: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Scraped]:
    directory, topic, bucket = tmp_path_factory.mktemp("scraped"), "pulls-scraped", "scraped"
    await influx.new_bucket(bucket)
    environment = influx.environment() | {"INFLUXDB_V2_BUCKET": bucket, "KAFKA_TOPIC": topic}
    environment |= {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    edges = ("--kafka", kafka.bootstrap)
    async with AsyncExitStack() as stack:
        sim = await stack.enter_async_context(simulator(directory, 8))
        watch = ("--cluster", "sim-scraped", "--kubeconfig", str(sim.kubeconfig), "--reconcile-grace", "2s")
        collector = await stack.enter_async_context(
            listening("collector", directory, environment, *watch, "--data-dir", str(directory / "data"), *edges)
        )
        sink = await stack.enter_async_context(
            listening("sink", directory, environment, "sink", *edges, "--influx", influx.url)
        )
        prometheus = Prometheus(
            stack_home, directory / "prometheus", {"collector": [collector], "sink": [sink]}, rules=[rules]
        )
        await stack.enter_async_context(prometheus)
        # The series have to be there before they grow, for rate() to see it.
        await until(lambda: has(prometheus, "count(pullstudy_build_info) == 2"), SECONDS, "two targets")
        await happen(sim, kafka, topic)
        yield Scraped(prometheus)


async def has(prometheus: Prometheus, expression: str) -> bool:
    return bool(await prometheus.query(expression))


@pytest.mark.parametrize("name", QUERIES)
async def test_every_query_of_the_dashboard_is_answered(name: str, scraped: Scraped) -> None:
    query = QUERIES[name]
    await until(lambda: has(scraped.prometheus, query), SECONDS, query)
    series = await scraped.prometheus.query(query)
    sys.stdout.write(f"{len(series):>3} series  {name}: {query}\n")
    assert series


async def test_prometheus_evaluates_every_rule(scraped: Scraped, rules: Path) -> None:
    async def alerts() -> dict[str, str]:
        return {rule["name"]: rule["state"] for rule in await scraped.prometheus.rules() if rule["type"] == "alerting"}

    async def evaluated() -> bool:
        told = await scraped.prometheus.rules()  # none before it has read its files
        return bool(told) and all(rule["health"] == "ok" for rule in told)

    async def firing() -> bool:  # not before what is scraped was evaluated once more
        return (await alerts())["PullstudyRejects"] == "firing"

    await until(evaluated, SECONDS, "all rules evaluated")
    await until(firing, SECONDS, "PullstudyRejects firing")
    states = await alerts()
    assert states.keys() == CASES.keys()
    recording = {rule["name"] for rule in await scraped.prometheus.rules() if rule["type"] == "recording"}
    assert recording == {*map(recorded, RECORDED)}
    assert states["PullstudySpool"] == states["PullstudyNotWatching"] == "inactive"
