"""All that can be wrong is said in one line before anything is begun: no directory, no cluster, no process."""

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from driver import cli
from driver.clusters import answering
from pullstudy.sim.cluster import ClusterSettings
from pullstudy.sim.http.server import serving
from pullstudy.sim.kubeconfig import write_kubeconfig
from tests.driver.sweeps import SMALL

Capture = pytest.CaptureFixture[str]
DIGITS = "0123456789abcdef" * 4

# What study.toml says, the options, what is told, the exit code.
WRONG = {
    "a key": ("[cluster]\nsize = 4", "", "unknown key 'size' in [cluster]: did you mean 'sizes'?", 2),
    "a word": ('[run]\norder = "randon"', "", "did you mean 'random'? there is sequential, interleaved, random", 2),
    "no TOML": ("[run\n", "", "not TOML", 2),
    "a name": ('name = "My_Study"', "", "not lower case letters, digits and - alone", 2),
    "a namespace": ('[cluster]\nnamespace = "a.b"', "", "not lower case letters, digits and - alone", 2),
    "a reference": ('[images]\nmore = ["ghcr.io/Me/a:1"]', "", "(Me/a) must be lowercase", 2),
    "a tag": ('[images]\ntags = ["a b"]', "", "is no reference (invalid reference format)", 2),
    "a digest": (f'[images]\nmore = ["a@sha256:{DIGITS[1:]}"]', "", "invalid checksum digest length", 2),
    "the cleaner's image": ('[kubeconfig]\ncleaner_image = "Busybox"', "", "kubeconfig.cleaner_image 'Busybox'", 2),
    "a secret": ('[job]\nimage_pull_secrets = ["My Key"]', "", "'My Key' is no name that Kubernetes takes", 2),
    "a label's key": ('[job.labels]\n"a b" = "c"', "", "job.labels a b = 'c' is no label", 2),
    "a label's value": ('[job.labels]\na = "b c"', "", "job.labels a = 'b c' is no label", 2),
    "a node selector": ('[job.node_selector]\n"A.b/c" = "d"', "", "job.node_selector A.b/c = 'd' is no label", 2),
    "sizes": ("", "--sizes 4...8", "4..256 (doubling)", 2),
    "sizes of the simulator": ("", "--sizes 30000", "the simulator has at most 20,000 nodes, not 30,000", 2),
    "the simulator's speed": ('[sim]\nspeed = "fast"', "", "speed = 'fast': write max", 2),
    "the simulator's version": ('[sim]\nkubernetes_version = "two"', "", "not a Kubernetes version", 2),
    "the simulator's faults": ('[[sim.faults]]\nfault = "no-such"', "", "no fault", 2),
    "the model": ("[sim.model.disk]\nspeed = 3", "", "[sim] model", 2),
    "a model that is not there": ('[sim]\nmodel = "absent.json"', "", "absent.json", 2),
    "sizes of EKS": ("", "--provider eks --sizes 451 --yes", "a managed node group has at most 450 nodes, not 451", 2),
    "EKS' volumes": ('[eks.volume]\ntype = "io2"', "--provider eks --yes", "eks.volume.type: gp2 or gp3, not io2", 2),
    "kwok's programs": ("", "--provider kwok --sizes 2", "not on PATH: etcd, kube-apiserver", 1),
    "kwok's kubeconfig": (
        '[job]\ntolerations = [{key = "pullstudy/fake", operator = "Exists"}]',
        "--provider kwok --kubeconfig /no/such",
        "--kubeconfig /no/such: no such file",
        2,
    ),
    "kwok's tolerations": ("", "--provider kwok --kubeconfig /no/such", "study.toml needs [job] tolerations", 1),
    "no kubeconfig": ("", "--provider kubeconfig --kubeconfig /no/such", "no kubeconfig at /no/such", 2),
    "a broken kubeconfig": ("", "--provider kubeconfig --kubeconfig broken", "cannot be understood", 1),
    "no context": ("", "--provider kubeconfig --kubeconfig contextless", "context", 1),
    "a context that is missing": ("", "--provider kubeconfig --kubeconfig lost", "elsewhere", 1),
    "a budget": ("", "--sizes 4 --budget 0.0001", "budget", 2),
}
CONTEXTLESS = "apiVersion: v1\nkind: Config\nclusters: []\nusers: []\ncontexts: []\n"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")  # no program is there
    (tmp_path / "broken").write_text("{nonsense: [")
    (tmp_path / "contextless").write_text(CONTEXTLESS)
    (tmp_path / "lost").write_text(f"{CONTEXTLESS}current-context: elsewhere\n")


def refused(capsys: Capture, words: str, study: str = "") -> tuple[int, str]:
    """The exit code and the line, where nothing was begun."""
    Path("study.toml").write_text(study)
    before = sorted(os.listdir())
    code = cli.run(["sweep", "--out", "out", "--study", "study.toml", *words.split()])
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    assert sorted(os.listdir()) == before
    assert psutil.Process().children() == []
    return code, said


@pytest.mark.parametrize(("study", "words", "said", "code"), WRONG.values(), ids=list(WRONG))
def test_what_is_wrong_is_one_line_before_anything_is_begun(
    capsys: Capture, study: str, words: str, said: str, code: int
) -> None:
    ended, told = refused(capsys, words, study)
    assert (ended, said in told) == (code, True), told


def test_a_plan_is_refused_for_what_its_sweep_would_be(capsys: Capture) -> None:
    for words, said in (
        ("--sizes 30000", "the simulator has at most 20,000 nodes"),
        ("--provider eks --sizes 500", "at most 450 nodes"),
    ):
        assert cli.run(["plan", *words.split()]) == 2
        assert said in capsys.readouterr().err


def test_a_larger_quota_of_nodes_can_be_told(capsys: Capture) -> None:
    Path("study.toml").write_text("[eks]\nmost_nodes = 900\nttl_hours = 100\n")
    assert cli.run(["plan", "--provider", "eks", "--study", "study.toml", "--sizes", "900"]) == 0


def test_a_byte_order_mark_in_the_study_is_read_over(capsys: Capture) -> None:
    Path("study.toml").write_bytes(b'\xef\xbb\xbfname = "marked"\n')
    assert cli.run(["plan", "--study", "study.toml", "--sizes", "2"]) == 0
    assert "study marked on sim" in capsys.readouterr().out


@contextmanager
def taken_port(*, listening: bool) -> Iterator[int]:
    """Refuses every connection, or takes it and never says a word."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        if listening:
            bound.listen()
        yield bound.getsockname()[1]


TOLERATING = '[job]\ntolerations = [{key = "pullstudy/fake", operator = "Exists"}]\n'


@pytest.mark.parametrize("provider", ["kubeconfig", "kwok"])
@pytest.mark.parametrize("listening", [False, True], ids=["refuses", "says nothing"])
def test_an_api_server_that_does_not_answer_is_named_with_what_to_do(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, provider: str, listening: bool
) -> None:
    (tmp_path / "kwok").write_text("#!/bin/sh\n")
    (tmp_path / "kwok").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(answering, "ANSWER_SECONDS", 1.0)
    with taken_port(listening=listening) as port:
        write_kubeconfig(tmp_path / "away", "sim-away", f"http://127.0.0.1:{port}")
        code, said = refused(capsys, f"--provider {provider} --kubeconfig away --sizes 2", TOLERATING)
    assert code == 1
    assert "the API server of context sim-away in away " in said
    assert said.endswith(": see kubectl --kubeconfig away cluster-info, or give another --kubeconfig\n")


@contextmanager
def cluster(kubeconfig: Path, nodes: int) -> Iterator[None]:
    """A simulator in a thread of its own: commands run loops of theirs."""
    ready, over = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        async with serving(ClusterSettings(name="sim-there", nodes=nodes)) as server:
            write_kubeconfig(kubeconfig, "sim-there", server.url)
            loops.append(asyncio.get_running_loop())
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(30)
        yield
    finally:
        loops[0].call_soon_threadsafe(over.set)
        thread.join()


def test_a_cluster_that_lacks_nodes_or_the_namespace_is_left_alone(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    with cluster(tmp_path / "there", 2):
        words = "--provider kubeconfig --kubeconfig there --sizes 2,4"
        code, said = refused(capsys, words)
        assert (code, "4 nodes are wanted, and 2 of 2 can be had" in said) == (1, True)
        code, said = refused(capsys, words, '[cluster]\nnamespace = "absent"\n')
        assert (code, "namespace absent is not there; make it, or set kubeconfig.create_namespace" in said) == (1, True)


def test_a_sweep_that_goes_on_asks_its_cluster_first(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A first sweep that ended in its first step: of which the ledger holds all that --resume needs."""
    monkeypatch.setattr(answering, "ANSWER_SECONDS", 1.0)
    words = ["sweep", "--provider", "kubeconfig", "--kubeconfig", "there", "--sizes", "2", "--out", "out"]
    (tmp_path / "study.toml").write_text('[kubeconfig]\nscale_command = ["false"]\n')
    with cluster(tmp_path / "there", 2):
        assert cli.run([*words, "--study", "study.toml"]) == 1
    capsys.readouterr()
    assert cli.run(["sweep", "--provider", "kubeconfig", "--kubeconfig", "there", "--out", "out", "--resume"]) == 1
    said = capsys.readouterr().err
    assert "the API server of context sim-there in there " in said


def test_the_study_s_namespace_is_made_where_the_cluster_is_made(capsys: Capture) -> None:
    images = f'[images]\ntags = ["{SMALL}"]\n'
    Path("study.toml").write_text(f'[cluster]\nnamespace = "pulling-study"\n{images}[limits]\nquiet_seconds = 0.3\n')
    assert cli.run(["sweep", "--sizes", "2", "--study", "study.toml", "--out", "out"]) == 0
    assert "2/2 accounted for" in capsys.readouterr().out
