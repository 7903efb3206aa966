"""kubectl on the simulator: what people type first on any cluster."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from pullstudy.sim.api import protobuf
from pullstudy.sim.api.tables import human
from pullstudy.sim.cluster import ClusterSettings
from pullstudy.sim.http.server import serving
from pullstudy.sim.kubeconfig import write_kubeconfig
from tests.sim.conftest import Api
from tests.stack.home import StackHome

JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: applied, labels: {step: STEP}}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: c, image: "registry.example/a:1", command: ["true"]}]}
"""
# As ``kubectl create namespace x`` sends it, with the empty times, spec and status of Go's encoder.
NAMESPACE = b"k8s\x00\n\x0f\n\x02v1\x12\tNamespace\x12\x0b\n\x05\n\x01xB\x00\x12\x00\x1a\x00\x1a\x00\x22\x00"
Kubectl = Callable[..., Coroutine[Any, Any, str]]


def test_an_order_in_protobuf_is_the_one_that_json_would_be() -> None:
    assert protobuf.decode(NAMESPACE) == {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "envelope"),
        (b"{}", "envelope"),
        (NAMESPACE[:-9], "longer than the message"),
        (b"k8s\x00\xff", "cut"),
        (NAMESPACE.replace(b"Namespace", b"Northwind"), "Northwind is read as JSON alone"),
        (NAMESPACE.replace(b"\n\x01xB\x00", b"\n\x00j\x01a"), "field 13 of ObjectMeta"),
    ],
)
def test_what_is_not_understood_of_protobuf_is_refused(body: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        protobuf.decode(body)


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0s"), (119, "119s"), (200, "3m20s"), (660, "11m"), (18_000, "5h"), (260_000, "3d")]
)
def test_an_age_is_told_as_kubectl_tells_it(seconds: int, told: str) -> None:
    assert human(timedelta(seconds=seconds)) == told


async def test_a_client_that_asks_for_a_table_gets_the_columns_of_a_real_server(api: Api) -> None:
    await api.run_job("a")
    headers = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    for path, names in (
        ("/api/v1/nodes", "Name Status Roles Age Version"),
        ("/api/v1/pods", "Name Ready Status Restarts Age"),
        ("/apis/batch/v1/namespaces/default/jobs/a", "Name Status Completions Duration Age"),
    ):
        code, table = await api.ask("GET", path, headers=headers)
        shown = [each["name"] for each in table["columnDefinitions"] if not each["priority"]]
        assert (code, table["kind"], " ".join(shown)) == (200, "Table", names)
        assert {len(row["cells"]) for row in table["rows"]} == {len(table["columnDefinitions"])}
    assert table["rows"][0]["cells"][1:3] == ["Complete", "2/2"]


async def test_a_client_that_sorts_gets_the_whole_objects_with_its_table(api: Api) -> None:
    headers = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    for asked, held in (("", {"metadata"}), ("?includeObject=Object", {"metadata", "spec", "status"})):
        _, table = await api.ask("GET", f"/api/v1/nodes{asked}", headers=headers)
        assert {*table["rows"][0]["object"]} == {"kind", "apiVersion", *held}


async def test_an_order_for_a_dry_run_is_refused_since_it_would_be_carried_out(api: Api) -> None:
    code, answer = await api.ask("POST", "/api/v1/namespaces?dryRun=All", {"metadata": {"name": "x"}})
    assert (code, "dryRun" in answer["message"]) == (400, True)


@pytest_asyncio.fixture
async def kubectl(stack_home: StackHome, tmp_path: Path) -> AsyncIterator[Kubectl]:
    async with serving(ClusterSettings(name="sim-k", nodes=2)) as server:
        write_kubeconfig(tmp_path / "config", "sim-k", server.url)
        environment = {**os.environ, "KUBECONFIG": str(tmp_path / "config"), "HOME": str(tmp_path)}

        async def run(*words: str, code: int = 0) -> str:
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(
                stack_home.program("kubectl"), *words, stdout=pipe, stderr=asyncio.subprocess.STDOUT, cwd=tmp_path,
                env=environment,
            )  # fmt: skip
            said = (await process.communicate())[0].decode()
            assert process.returncode == code, said
            return said

        yield run


async def rows(kubectl: Kubectl, *words: str) -> list[str]:
    return [row for row in (await kubectl(*words)).splitlines() if row and not row.startswith("NAME ")]


@pytest.mark.real
async def test_kubectl_gets_creates_applies_waits_and_asks_what_it_may(kubectl: Kubectl, tmp_path: Path) -> None:
    head, *nodes = (await kubectl("get", "nodes")).splitlines()
    assert head.split() == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    assert [row.split()[1] for row in nodes] == ["Ready", "Ready"]
    assert "CONTAINER-RUNTIME" in await kubectl("get", "nodes", "-o", "wide")
    assert await kubectl("auth", "can-i", "create", "jobs") == "yes\n"
    assert "*.*" in await kubectl("auth", "can-i", "--list")

    assert await kubectl("create", "namespace", "x") == "namespace/x created\n"
    assert await kubectl("create", "job", "a", "--image=busybox", "--", "true") == "job.batch/a created\n"
    assert "condition met" in await kubectl("wait", "--for=condition=complete", "job/a", "--timeout=30s")
    assert (await kubectl("get", "jobs")).splitlines()[1].split()[:3] == ["a", "Complete", "1/1"]
    assert "Completed" in await kubectl("get", "pods")
    assert "Pulled" in await kubectl("get", "events", "--sort-by=.lastTimestamp")
    assert {"pod/a", "job.batch/a"} == {row.split("-")[0].split()[0] for row in await rows(kubectl, "get", "all")}
    assert await kubectl("run", "p", "--image=busybox:2", "--restart=Never") == "pod/p created\n"

    for step, said in (("one", "created"), ("one", "unchanged"), ("two", "configured")):
        (tmp_path / "job.yaml").write_text(JOB.replace("STEP", step))
        assert await kubectl("apply", "-f", "job.yaml") == f"job.batch/applied {said}\n"
    assert "step=two" in await kubectl("get", "jobs", "--show-labels")
    assert "deleted" in await kubectl("delete", "job", "applied")
    assert await kubectl("apply", "--server-side", "-f", "job.yaml") == "job.batch/applied serverside-applied\n"
    assert "dryRun" in await kubectl("apply", "--dry-run=server", "-f", "job.yaml", code=1)
