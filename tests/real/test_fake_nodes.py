"""``pulldriver sweep --provider kwok``: its servers come from PATH and end with it, and every pull is accounted for."""

import asyncio
import json
import os
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from tests.driver.sweeps import left_running, rows
from tests.stack.control_plane import ControlPlane
from tests.stack.home import StackHome
from tests.stack.influx import Influx
from tests.stack.kafka import Kafka
from tests.stack.wait import until

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

STUDY = """\
name = "fake"
[cluster]
namespace = "{namespace}"
[images]
tags = ["9-layers-size-1176249324-bytes", "125-layers-size-2770722493-bytes"]
[job]
command = ["sleep", "3"]
tolerations = [{{ key = "pullstudy/fake", operator = "Exists" }}]
[kwok]
speed = 20.0
controller_qps = 200.0
"""


async def start_driver(home: StackHome | None, *words: str, **environment: str) -> asyncio.subprocess.Process:
    programs = [str(home.root / "bin")] if home else []
    path = os.pathsep.join([*programs, "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
    return await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("pulldriver")),
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **environment, "PATH": path},
    )


async def driver(home: StackHome | None, *words: str, **environment: str) -> tuple[int, str]:
    process = await start_driver(home, *words, **environment)
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


def write_study(directory: Path, namespace: str = "default") -> Path:
    path = directory / "study.toml"
    path.write_text(STUDY.format(namespace=namespace))
    return path


def seconds_between(first: str, last: str) -> float:
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()


async def test_every_pull_of_fake_nodes_is_stored_once_with_node_container_and_times_that_agree(
    stack_home: StackHome, tmp_path: Path
) -> None:
    study, out = write_study(tmp_path), tmp_path / "out"
    words = ("sweep", "--provider", "kwok", "--sizes", "2,12", "--study", str(study), "--out", str(out))
    code, said = await driver(stack_home, *words)
    assert code == 0, said
    assert "28/28 accounted for" in said
    assert rows(out, "SELECT cluster, outcome, count(*) FROM pulls GROUP BY 1, 2 ORDER BY 3") == [
        ("kwok-fake-2", "pulled", 4),
        ("kwok-fake-12", "pulled", 24),
    ]
    found = rows(out, "SELECT pod_uid, node, container, pull_seconds, started_at, finished_at FROM pulls")
    nodes = dict(rows(out, "SELECT pod_uid, node FROM job_pods"))
    assert {uid: node for uid, node, *_ in found} == nodes
    assert {container for _, _, container, *_ in found} == {"pull"}
    for _, _, _, pull_seconds, started_at, finished_at in found:
        assert seconds_between(started_at, finished_at) == pytest.approx(pull_seconds, abs=0.002)
        assert 0.1 < pull_seconds < 1.0, "4 s and 9 s of the model, twenty times as fast"
    pulling = rows(
        out,
        "SELECT p.pull_seconds, a.at, b.at FROM pulls p"
        " JOIN milestones a ON a.pod_uid = p.pod_uid AND a.moment = 'pulling' AND a.witness = 'event-name'"
        " JOIN milestones b ON b.pod_uid = p.pod_uid AND b.moment = 'pulled' AND b.witness = 'event-name'",
    )
    assert len(pulling) == 28
    for pull_seconds, begun, ended in pulling:
        assert seconds_between(begun, ended) == pytest.approx(pull_seconds, abs=0.002)
    assert left_running(out) == []


async def field_of_pulls(influx: Influx, field: str) -> list[dict[str, str]]:
    return await influx.query(
        f'from(bucket: "{influx.bucket}") |> range(start: 0) |> filter(fn: (r) => r._measurement == "pull" and'
        f' r._field == "{field}") |> group() |> keep(columns: ["_value", "size"])'
    )


async def test_every_pull_is_once_in_influxdb_by_way_of_kafka(
    stack_home: StackHome, own_kafka: Kafka, own_influx: Influx, tmp_path: Path
) -> None:
    study, out = write_study(tmp_path), tmp_path / "out"
    words = ("sweep", "--provider", "kwok", "--sizes", "4..8", "--study", str(study), "--out", str(out))
    through = ("--kafka", own_kafka.bootstrap, "--influx", own_influx.url)
    code, said = await driver(stack_home, *words, *through, **own_influx.environment())
    assert code == 0, said
    assert "24/24 accounted for" in said
    stored = {field: await field_of_pulls(own_influx, field) for field in ("event_uid", "pod_uid", "container", "node")}
    assert {field: (len(rows), len({row["_value"] for row in rows})) for field, rows in stored.items()} == {
        "event_uid": (24, 24),
        "pod_uid": (24, 24),
        "container": (24, 1),
        "node": (24, 8),  # the names are the same in both clusters
    }
    each = Counter((row["size"], row["_value"]) for row in stored["node"])
    assert Counter(size for size, _ in each) == {"4": 4, "8": 8}
    assert set(each.values()) == {2}, "each node pulled both images"
    assert left_running(out) == []


async def test_nodes_on_a_cluster_that_is_there_keep_other_pods_off_and_are_gone_afterwards(
    stack_home: StackHome, control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    study, out = write_study(tmp_path, namespace), tmp_path / "out"
    before = await node_names(control_plane)
    kubeconfig = str(control_plane.access.kubeconfig())
    words = ("sweep", "--provider", "kwok", "--kubeconfig", kubeconfig, "--sizes", "3")
    code, said = await driver(stack_home, *words, "--study", str(study), "--out", str(out))
    assert code == 0, said
    assert "6/6 accounted for" in said
    assert rows(out, "SELECT count(DISTINCT node) FROM pulls WHERE node LIKE 'ip-192-168-0-%.kwok'") == [(3,)]
    assert await node_names(control_plane) == before
    assert left_running(out) == []


async def test_nodes_and_the_job_of_a_killed_driver_are_deleted_by_down(
    stack_home: StackHome, control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    study, out = write_study(tmp_path, namespace), tmp_path / "out"
    before = await node_names(control_plane)
    kubeconfig = str(control_plane.access.kubeconfig())
    words = ("sweep", "--provider", "kwok", "--kubeconfig", kubeconfig, "--sizes", "3")
    sweep = await start_driver(stack_home, *words, "--study", str(study), "--out", str(out))

    async def has_them() -> bool:
        return len(await node_names(control_plane) - before) == 3

    async def jobs() -> list[str]:
        path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        return [job["metadata"]["name"] for job in (await control_plane.access.request("GET", path))["items"]]

    async def has_one() -> bool:
        return bool(await jobs())

    await until(has_them, 120, "three fake nodes")
    await until(has_one, 120, "a job on them")
    sweep.kill()
    await sweep.wait()
    code, said = await driver(stack_home, "down", "--out", str(out))
    assert code == 0, said
    assert await node_names(control_plane) == before
    assert await jobs() == []
    assert left_running(out) == []


async def node_names(cluster: ControlPlane) -> set[str]:
    return {node["metadata"]["name"] for node in (await cluster.access.request("GET", "/api/v1/nodes"))["items"]}


async def test_a_study_whose_pods_would_be_kept_off_is_refused_with_the_line_it_needs(
    stack_home: StackHome, control_plane: ControlPlane, tmp_path: Path
) -> None:
    kubeconfig = str(control_plane.access.kubeconfig())
    words = ("sweep", "--provider", "kwok", "--kubeconfig", kubeconfig, "--sizes", "2", "--out", str(tmp_path / "out"))
    code, said = await driver(stack_home, *words)
    assert code == 1
    assert 'study.toml needs [job] tolerations = [{ key = "pullstudy/fake", operator = "Exists" }]' in said


async def test_the_benchmark_finds_every_pull_once_and_each_process(tmp_path: Path) -> None:
    bench = Path(__file__).parents[2] / "bench" / "fake_nodes.py"
    words = ("--sizes", "2", "--images", "1", "--sleep", "1", "--embedded", "--json", "--out", str(tmp_path))
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(bench), *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    found = json.loads(said)
    assert found["stored"] == {"pods": 2, "pulls": 2, "missing": 0, "surplus": 0}
    assert found["audits"] == {"expected": 2, "events": 2, "stored": 2, "recovered": 0}
    cost = {row["program"]: row for row in found["processes"]}
    assert {"pulldriver", "collector", "kubelets", "kube-apiserver", "etcd", "kwok"} <= set(cost)
    assert all(row["cpu_seconds"] > 0 and row["peak_mib"] > 0 for row in cost.values())
    assert all(cost[name]["api_mib"] > 0 for name in ("pulldriver", "collector", "kubelets"))


async def test_programs_that_are_not_on_the_path_are_named(tmp_path: Path) -> None:
    code, said = await driver(None, "sweep", "--provider", "kwok", "--sizes", "2", "--out", str(tmp_path / "out"))
    assert code == 1
    assert "not on PATH: kube-apiserver, kube-controller-manager, kube-scheduler, kwok" in said
