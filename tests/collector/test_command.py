"""The ``collector`` command as a process: signals, exit codes, kill -9, full disks, and one line for each mistake."""

import asyncio
import json
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from random import Random

import pytest

from collector.cli import run_command
from pullstudy.store.embedded.store import EmbeddedStore
from tests.collector.api_server import ApiServer, refuse, serving, write_kubeconfig
from tests.collector.harness import stored_counts
from tests.collector.kube_events import event
from tests.collector.polling import until, until_it_is
from tests.collector.scraping import Endpoint

COMMAND = (sys.executable, "-c", "from collector.cli import main; main()")


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with serving(ApiServer()) as server:
        yield server


Process = asyncio.subprocess.Process


async def start(*arguments: str, preexec: Callable[[], None] | None = None) -> Process:
    return await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, preexec_fn=preexec
    )


@asynccontextmanager
async def collector(server: ApiServer, directory: Path, *more: str) -> AsyncIterator[Process]:
    """A collector that watches; killed at the end if it still runs."""
    kubeconfig = write_kubeconfig(directory / "kubeconfig", server.url)
    process = await start(
        "--cluster", "sim-t", "--kubeconfig", str(kubeconfig), "--data-dir", str(directory / "out"), *more
    )
    try:
        assert process.stderr is not None
        while b"watching events" not in (line := await process.stderr.readline()):
            assert line, "the collector ended before it watched"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def ended(process: Process) -> tuple[int, str]:
    _, stderr = await process.communicate()
    assert process.returncode is not None
    return process.returncode, stderr.decode()


async def run(*arguments: str) -> tuple[int, str]:
    return await ended(await start(*arguments))


async def until_stored(directory: Path, pulls: int) -> None:
    await until(lambda: sum(map(len, stored_counts(directory / "out").values())) >= pulls)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
async def test_a_signal_drains_and_ends_with_its_code(
    server: ApiServer, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    for index in range(50):
        await server.put(event(index))
    async with collector(server, tmp_path, "--log-format", "json", "--run", "one", "--size", "8") as process:
        process.send_signal(number)
        returned, stderr = await ended(process)
    assert returned == code
    last = json.loads(stderr.splitlines()[-1])
    assert (last["message"], last["pulled"], last["stored"]) == ("status", 50, 100)
    store = EmbeddedStore(tmp_path / "out", create=False)
    assert {(record.cluster, record.run, record.size) for record in store.pulls()} == {("sim-t", "one", 8)}
    store.close_now()


@pytest.mark.parametrize("events_a_second", [30, 1_000])
async def test_case_1_kill_9_at_random_points_loses_and_doubles_nothing(
    server: ApiServer, tmp_path: Path, events_a_second: int
) -> None:
    random = Random(events_a_second)
    expected: dict[str, list[int]] = {}

    async def write_on() -> None:
        for number in range(100_000):
            item = event(number)
            await server.put(item)
            expected[item["metadata"]["uid"]] = [1]
            await asyncio.sleep(1 / events_a_second)

    writing = asyncio.create_task(write_on())
    for _ in range(3):
        async with collector(server, tmp_path) as process:
            await asyncio.sleep(random.uniform(0.0, 0.3))
            process.kill()
            assert (await ended(process))[0] == -signal.SIGKILL
    writing.cancel()
    async with collector(server, tmp_path) as process:
        await until_stored(tmp_path, len(expected))
        process.terminate()
        assert (await ended(process))[0] == 0
    assert stored_counts(tmp_path / "out") == expected
    lists = [query for query in server.asked("list") if "continue" not in query]
    assert len(lists) == 1  # each restart went on at its version


async def test_it_says_on_which_free_port_it_listens_and_answers_there(server: ApiServer, tmp_path: Path) -> None:
    await server.put(event(1))
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", server.url)
    arguments = ("--cluster", "sim-t", "--kubeconfig", str(kubeconfig), "--data-dir", str(tmp_path / "out"))
    process = await start(*arguments, "--listen", "127.0.0.1:0")
    assert process.stderr is not None
    endpoint = Endpoint.told((await process.stderr.readline()).decode())

    async def is_ready() -> bool:
        return await endpoint.ready() == (200, ["ok"])

    await until_it_is(is_ready)
    assert await endpoint.get("/healthz") == (200, "ok\n")
    assert await endpoint.value("pullstudy_collector_records_total", cluster="sim-t", outcome="pulled") == 1
    taken = endpoint.url.removeprefix("http://")
    code, stderr = await run(*arguments, "--listen", taken)
    assert (code, stderr.count("\n")) == (1, 1)
    assert stderr.startswith(f"collector: --listen {taken}: ")
    process.terminate()
    assert (await ended(process))[0] == 0


async def test_case_10_a_full_disk_stops_it_loudly_and_loses_nothing(server: ApiServer, tmp_path: Path) -> None:
    """The limit on a file's size is the kernel's: writes fail as they do when the disk is full."""
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", server.url)
    arguments = ("--cluster", "sim-t", "--kubeconfig", str(kubeconfig), "--data-dir", str(tmp_path / "out"))

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    for number in range(600):
        await server.put(event(number))
    code, stderr = await ended(await start(*arguments, preexec=limit))
    assert code == 1
    assert stderr.splitlines()[-1].startswith("collector: ")
    assert "Traceback" not in stderr
    for number in range(600, 610):
        await server.put(event(number))
    async with collector(server, tmp_path) as process:
        await until_stored(tmp_path, 610)
        process.terminate()
        await ended(process)
    assert len(stored_counts(tmp_path / "out")) == 610


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is taken, so that nobody else listens there, and not listened on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


async def test_an_unreachable_cluster_is_given_up_after_the_tries_asked_for(tmp_path: Path, closed_port: int) -> None:
    url = f"http://127.0.0.1:{closed_port}"
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", url)
    code, stderr = await run(
        *("--cluster", "lab", "--kubeconfig", str(kubeconfig)),
        *("--data-dir", str(tmp_path / "out"), "--connect-tries", "2"),
    )
    assert code == 1
    assert stderr.splitlines()[-1] == (
        f"collector: cluster lab at {url} cannot be reached: connection refused (2 tries); "
        f"look with: kubectl --kubeconfig {kubeconfig} get --raw /version"
    )


async def test_of_several_kubeconfigs_the_command_to_look_with_is_one_that_kubectl_takes(
    tmp_path: Path, closed_port: int
) -> None:
    paths = [write_kubeconfig(tmp_path / name, f"http://127.0.0.1:{closed_port}") for name in ("one", "two")]
    joined = os.pathsep.join(map(str, paths))
    words = ("--cluster", "lab", "--kubeconfig", joined, "--data-dir", str(tmp_path / "out"), "--connect-tries", "1")
    code, stderr = await run(*words)
    assert code == 1
    assert stderr.splitlines()[-1].endswith(f"look with: KUBECONFIG={joined} kubectl get --raw /version")


@pytest.mark.parametrize(
    ("kind", "code", "hint"),
    [
        ("identity", 401, "log in again"),
        ("list", 403, "allow 'list' and 'watch'"),
        ("list", 404, "is this a Kubernetes"),
    ],
)
async def test_a_refusal_at_the_start_that_waiting_does_not_mend_is_one_line(
    server: ApiServer, tmp_path: Path, kind: str, code: int, hint: str
) -> None:
    server.instead[kind].append(refuse(code, "no"))
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", server.url)
    returned, stderr = await run(
        "--cluster", "lab", "--kubeconfig", str(kubeconfig), "--data-dir", str(tmp_path / "out")
    )
    assert returned == 1
    assert hint in stderr
    assert len(stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--cluster", "a", "--size", "0"),
        ("--cluster", "a/b"),
        ("--cluster", "a", "--nope"),
        ("--cluster", "a", "--in-cluster", "--kubeconfig", "f"),
        ("--cluster", "a", "--log-format", "yaml"),
        ("--cluster", "a", "--kafka", "localhost"),
        ("--cluster", "a", "--influx", "localhost:8086"),
        ("sink",),
        ("sink", "--kafka", "localhost:9092", "--influx", "localhost:8086"),
    ],
)
def test_wrong_use_is_one_line_and_code_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(list(arguments)) == 2
    stderr = capsys.readouterr().err
    assert stderr.startswith("collector: ")
    assert len(stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            "sinc --kafka k:9092",
            "collector: No such command 'sinc': there are sink, archive, migrate, check, or options alone",
        ),
        ("sink --nope", "see collector sink --help"),
        ("--cluster a --log-format yaml", "'--log-format': 'yaml' is not one of"),
    ],
)
def test_wrong_use_names_the_word_that_is_wrong_and_the_help_that_has_it(
    words: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(words.split()) == 2
    assert told in capsys.readouterr().err


def test_it_says_which_version_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["--version"]) == 0
    assert capsys.readouterr().out == f"collector {version('pullstudy')}\n"


def test_what_cannot_be_used_is_one_line_and_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = str(write_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1"))
    (tmp_path / "bad").write_text("clusters: [")
    (tmp_path / "file").write_text("")
    (tmp_path / "other").mkdir()
    connection = sqlite3.connect(tmp_path / "other" / "study.sqlite3")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    for arguments, told in (
        (["--kubeconfig", str(tmp_path / "none")], "no kubeconfig at"),
        (["--kubeconfig", str(tmp_path / "bad")], "cannot be understood"),
        (["--in-cluster"], "only in a pod"),
        (["--kubeconfig", good, "--data-dir", str(tmp_path / "file")], "cannot be written"),
        (["--kubeconfig", good, "--data-dir", str(tmp_path / "other")], "layout 99"),
    ):
        assert run_command(["--cluster", "lab", *arguments]) == 1
        stderr = capsys.readouterr().err
        assert told in stderr
        assert len(stderr.splitlines()) == 1


@pytest.mark.parametrize("words", ["--log-format json", "--log-format=json", ""])
def test_the_line_that_ends_it_is_json_where_the_log_is(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not words:
        monkeypatch.setenv("PULLSTUDY_COLLECTOR_LOG_FORMAT", "json")
    assert run_command(["--cluster", "a", "--kubeconfig", str(tmp_path / "none"), *words.split()]) == 1
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], "no kubeconfig at" in line["message"]) == ("error", True)


@pytest.mark.parametrize(
    ("words", "completed"),
    [("collector si", "sink"), ("collector --clu", "--cluster"), ("collector sink --kaf", "--kafka")],
)
def test_a_shell_completes_words_and_options(words: str, completed: str) -> None:
    asked = {"_COLLECTOR_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    command = [sys.executable, "-m", "collector"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **asked})
    assert completed in ended.stdout.split()
    assert ended.returncode == 0


def test_the_script_that_completes_is_shown() -> None:
    command = [sys.executable, "-m", "collector", "--show-completion", "bash"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "_COLLECTOR_COMPLETE=complete_bash" in ended.stdout
