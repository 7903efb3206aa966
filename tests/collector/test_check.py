"""``collector check``: the collector's own options, a line a check, and exit codes; on real servers in tests/real."""

import asyncio
import inspect
import json
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from collector.checks.data import DataCheck
from collector.checks.finding import Finding, FindingLevel
from collector.checks.grants import grant_commands
from collector.checks.report import finding_line, findings_json, summary_line
from collector.cli import run_command
from collector.commands.check_command import check
from collector.commands.collect_command import collect
from collector.sources.scope import Right, Scope
from tests.collector.api_server import ApiServer, serving, write_kubeconfig
from tests.collector.simulator import simulator
from tests.collector.test_command import run


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with serving(ApiServer()) as server:
        yield server


def test_it_takes_every_option_of_the_collector() -> None:
    own = set(inspect.signature(check).parameters)
    assert own - set(inspect.signature(collect).parameters) == {"format"}
    assert set(inspect.signature(collect).parameters) < own


async def test_on_the_simulator_all_that_it_can_answer_is_good(tmp_path: Path) -> None:
    async with simulator(tmp_path, 2) as cluster:
        arguments = ("check", "--cluster", "sim-t", "--kubeconfig", str(cluster.kubeconfig))
        code, stderr = await run(*arguments, "--data-dir", str(tmp_path / "out"))
    assert (code, stderr) == (0, "")
    assert not (tmp_path / "out").exists()


async def test_what_is_no_kubernetes_api_server_is_asked_for_nothing_else(server: ApiServer, tmp_path: Path) -> None:
    kubeconfig = str(write_kubeconfig(tmp_path / "kubeconfig", server.url))
    code, _ = await run("check", "--cluster", "t", "--kubeconfig", kubeconfig)
    assert code == 1
    assert server.requests == []


async def test_what_is_wrong_is_told_in_one_line_each(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        kubeconfig = str(write_kubeconfig(tmp_path / "kubeconfig", url))
        process_output = await output("check", "--cluster", "t", "--kubeconfig", kubeconfig, "--format", "json")
    findings = json.loads(process_output)["findings"]
    assert [each["message"] for each in findings if each["level"] == "failed"] == [f"{url}: connection refused"]
    assert all("\n" not in each["message"] for each in findings)


async def output(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from collector.cli import main; main()", *arguments), stdout=asyncio.subprocess.PIPE
    )
    stdout, _ = await process.communicate()
    return stdout.decode()


def test_without_a_kubeconfig_it_fails_and_looks_at_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    none = str(tmp_path / "none")
    assert run_command(["check", "--cluster", "t", "--kubeconfig", none, "--data-dir", str(tmp_path / "out")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("FAILED   cluster: credentials: no kubeconfig at")
    assert lines[1].startswith("ok       data: directory: ")
    assert lines[-1] == "4 ok, 0 warnings, 1 failed"


@pytest.mark.parametrize(
    "arguments", [("check",), ("check", "--cluster", "a/b"), ("check", "--cluster", "a", "--nope")]
)
def test_wrong_use_is_code_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(list(arguments)) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


FINDINGS = [
    Finding("cluster", "user", FindingLevel.OK, "me"),
    Finding("kafka", "brokers", FindingLevel.WARNING, "slow", "wait"),
    Finding("influxdb", "token", FindingLevel.FAILED, "401", "set it"),
]


def test_a_finding_is_a_line_in_colours_only_where_they_are_seen() -> None:
    assert finding_line(FINDINGS[2], colours=False) == "FAILED   influxdb: token: 401; to do: set it"
    assert finding_line(FINDINGS[0], colours=True) == "\x1b[32mok     \x1b[0m  cluster: user: me"
    assert summary_line(FINDINGS) == "1 ok, 1 warning, 1 failed"
    found = json.loads(findings_json(FINDINGS))
    assert found["ok"] is False
    assert [each["level"] for each in found["findings"]] == ["ok", "warning", "failed"]


def test_what_would_grant_a_right_is_said_for_users_and_service_accounts() -> None:
    commands = grant_commands(Right("watch", "pods"), Scope(), "O'Brien")
    assert commands == (
        "kubectl create clusterrole pullstudy-pods --verb=list,watch --resource=pods; "
        "kubectl create clusterrolebinding pullstudy-pods-o-brien --clusterrole=pullstudy-pods "
        "--user='O'\"'\"'Brien'"
    )
    commands = grant_commands(Right("get", "namespaces", "ns"), Scope("ns"), "system:serviceaccount:ns:account")
    assert "kubectl create role pullstudy-namespaces --namespace=ns --verb=get --resource=namespaces" in commands
    assert commands.endswith("--role=pullstudy-namespaces --serviceaccount=ns:account")


async def test_a_store_of_another_layout_and_a_directory_that_is_none_fail(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "study.sqlite3") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    found = [each async for each in DataCheck(tmp_path, tmp_path / "spool" / "t", 1, embedded=True).findings()]
    assert [(each.check, each.level) for each in found if each.level is not FindingLevel.OK] == [
        ("store", FindingLevel.FAILED)
    ]
    (tmp_path / "file").write_text("")
    below = DataCheck(tmp_path / "file" / "data", tmp_path / "file" / "data" / "spool", 1, embedded=True)
    (refused,) = [each async for each in below.findings()]
    assert (refused.check, refused.level) == ("directory", FindingLevel.FAILED)
