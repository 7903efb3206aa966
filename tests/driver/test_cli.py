"""What the user meets when something is wrong: one line, and the exit code that is documented."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from driver import cli
from driver.commands.directory_lock import directory_lock
from driver.commands.plan_command import say_plan
from driver.errors import CollectorProcessError, LimitError, ProviderError, UsageError
from driver.planning.plan import Plan
from driver.planning.study import Overrides, encode_study, load_study
from driver.providers import PROVIDERS
from driver.sweep import wall_clock
from pullstudy.kube.errors import ApiError
from pullstudy.store.embedded.ledger import ClusterRow, Ledger, Run

Capture = pytest.CaptureFixture[str]


def begun(directory: Path) -> None:
    """A sweep of which nothing is done."""
    study = load_study(None, Overrides(sizes="2"))
    with closing(Ledger(directory, create=True)) as ledger:
        run = Run(run="run1", provider="sim", study=encode_study(study), started_at=wall_clock())
        ledger.begin(run, [ClusterRow(cluster="sim-pulling-study-2", run="run1", size=2)])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("sweep --sizes 4...8", "4..256 (doubling), 4,8,12 (a list) or 4..20:4 (in steps)"),
        ("sweep --provider abacus", "--provider abacus: there is sim"),
        ("sweep --study absent.toml", "absent.toml: No such file"),
        ("sweep --study quikc", "did you mean --study quick?"),
        ("docs swep", "there is no page swep; did you mean sweep?"),
        ("sweep --repeats 0", "--repeats 0"),
        ("sweep --order best", "Invalid value for '--order': 'best' is not one of"),
        ("sweep --eks-mode shared", "--eks-mode: not of the provider sim"),
        ("plan --eks-mode shared --provider kwok", "--eks-mode: not of the provider kwok"),
        ("export pulls --tags-of tags.csv", "--tags-of: chooses layers"),
        ("export trace --without-shared", "--without-shared: chooses layers"),
        ("export pulls --image app", "--image: chooses traces"),
        ("export phases --job app", "--job: chooses traces"),
        ("plan --sizes 0", "1 node or more"),
        ("status --out absent", "absent is no study"),
        ("down --out absent", "absent is no study"),
        ("frobnicate", "No such command 'frobnicate'"),
        ("plan --colour", "No such option: --colour"),
    ],
)
def test_wrong_use_is_one_line_and_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, words: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(words.split()) == 2
    complained = capsys.readouterr().err
    assert said in complained
    assert complained.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_files_of_which_nothing_is_understood_are_a_failure_that_offers_no_report(
    tmp_path: Path, capsys: Capture
) -> None:
    other, empty, out = tmp_path / "other.json", tmp_path / "empty.json", str(tmp_path / "study")
    other.write_text('{"a": 1}\n')
    empty.write_text("")
    assert cli.run(["import", str(other), "--size", "4", "--out", out]) == 1
    told = capsys.readouterr()
    assert told.err.endswith("nothing in it was understood; pulldriver import --help says what it takes\n")
    assert "next:" not in told.out
    assert cli.run(["import", str(empty), "--size", "4", "--out", out]) == 0  # a piece of a log may hold nothing


def test_whoever_closes_the_pipe_has_had_enough_and_nothing_failed(tmp_path: Path) -> None:
    begun(tmp_path)
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "wb") as closed:
        words = [str(Path(sys.executable).with_name("pulldriver")), "export", "runs", "--out", str(tmp_path)]
        ended = subprocess.run(words, stdout=closed, stderr=subprocess.PIPE, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_table_of_layers_where_none_are_known_says_how_they_come_in(tmp_path: Path, capsys: Capture) -> None:
    begun(tmp_path)
    assert cli.run(["export", "layers", "--out", str(tmp_path), "--to", str(tmp_path / "layers.csv")]) == 0
    assert f"has no layers: pulldriver import MANIFESTS --out {tmp_path}" in capsys.readouterr().err


def test_traces_are_written_in_the_format_asked_for_and_none_is_said_to_be_none(
    tmp_path: Path, capsys: Capture
) -> None:
    begun(tmp_path)
    words = ["export", "trace", "--out", str(tmp_path)]
    assert cli.run([*words, "--format", "perfetto", "--to", str(tmp_path / "pulls.json")]) == 0
    assert json.loads((tmp_path / "pulls.json").read_text())["traceEvents"] == []
    assert capsys.readouterr().err == f"{tmp_path}: no pull is on record\n"
    assert cli.run([*words, "--image", "*", "--job", "*"]) == 0
    assert capsys.readouterr() == ("", f"{tmp_path}: no pull of what was chosen\n")
    assert cli.run([*words, "--format", "zipkin"]) == 2
    assert "format of traces 'zipkin' is not known: choose otlp, perfetto" in capsys.readouterr().err


def test_a_sweep_is_never_begun_over_another(tmp_path: Path, capsys: Capture) -> None:
    begun(tmp_path)
    assert cli.run(["sweep", "--out", str(tmp_path)]) == 2
    assert "already holds a sweep (unfinished): add --resume" in capsys.readouterr().err


def test_a_sweep_goes_on_only_with_its_own_study(tmp_path: Path, capsys: Capture) -> None:
    begun(tmp_path)
    assert cli.run(["sweep", "--out", str(tmp_path), "--resume", "--sizes", "4"]) == 2
    assert "this run has cluster.sizes = [2], not [4]" in capsys.readouterr().err


def test_a_directory_in_use_is_left_alone(tmp_path: Path, capsys: Capture) -> None:
    begun(tmp_path)
    with directory_lock(tmp_path):
        assert cli.run(["sweep", "--out", str(tmp_path), "--resume"]) == 2
        assert cli.run(["down", "--out", str(tmp_path)]) == 2
        assert cli.run(["status", "--out", str(tmp_path)]) == 0
    heard = capsys.readouterr()
    assert heard.err.count("is in use by process") == 2
    assert "running: process" in heard.out


def test_a_file_that_is_no_store_is_not_touched(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "study.sqlite3"
    path.write_bytes(b"dear diary, " * 100)
    assert cli.run(["status", "--out", str(tmp_path)]) == 2
    assert cli.run(["sweep", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("no SQLite file") == 2
    assert path.read_bytes() == b"dear diary, " * 100


def test_a_store_of_another_layout_is_refused(tmp_path: Path, capsys: Capture) -> None:
    with closing(sqlite3.connect(tmp_path / "study.sqlite3")) as shell:
        shell.execute("PRAGMA user_version = 99")
    assert cli.run(["status", "--out", str(tmp_path)]) == 2
    assert "layout 99" in capsys.readouterr().err


def test_plan_as_json_is_the_plan(capsys: Capture) -> None:
    assert cli.run(["plan", "--sizes", "4..256", "--json"]) == 0
    plan = msgspec.json.decode(capsys.readouterr().out, type=Plan)
    assert (plan.jobs, plan.pulls) == (224, 16256)
    assert [size.cluster for size in plan.sizes][:2] == ["sim-pulling-study-4", "sim-pulling-study-8"]
    assert any("16,256" in line for line in say_plan(plan))


def test_status_as_json_tells_what_is_left(tmp_path: Path, capsys: Capture) -> None:
    begun(tmp_path)
    assert cli.run(["status", "--out", str(tmp_path), "--json"]) == 0
    status = msgspec.json.decode(capsys.readouterr().out)
    assert (status["jobs"], status["done"], status["finished"], status["driver_pid"]) == (32, 0, False, None)


def test_no_words_show_the_help(capsys: Capture) -> None:
    assert cli.run([]) == 0
    shown = capsys.readouterr().out
    for name in (*cli.COMMANDS, "sim", "dashboards"):
        assert f"  {name}" in shown


@pytest.mark.parametrize("name", [*cli.COMMANDS, "sim", "dashboards"])
def test_every_command_shows_an_example(name: str, capsys: Capture) -> None:
    assert cli.run([name, "--help"]) == 0
    assert "Example" in capsys.readouterr().out


def test_the_version_is_shown(capsys: Capture) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("pulldriver ")


def test_a_bug_is_one_line_that_names_the_file_with_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    begun(tmp_path)

    def broken(out: Path) -> None:
        raise ZeroDivisionError("one\ntwo")

    monkeypatch.setattr("driver.commands.status_command.read_status", broken)
    assert cli.run(["status", "--out", str(tmp_path)]) == 1
    complained = capsys.readouterr().err
    log = tmp_path / "logs" / "bug.log"
    assert complained == f"pulldriver: a bug: ZeroDivisionError: one; please report {log}\n"
    assert "Traceback" in log.read_text()


REFUSED = ApiError("list the nodes", 403, "nodes is forbidden")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 2),
        (REFUSED, 1),
        (LimitError("x"), 1),
        (ProviderError("x"), 1),
        (CollectorProcessError("x"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_end_with_the_code_that_is_documented(
    tmp_path: Path, error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def failing(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("driver.commands.status_command.read_status", failing)
    assert cli.run(["status", "--out", str(tmp_path)]) == code
    assert capsys.readouterr().err == f"pulldriver: {error}\n"


def test_a_refused_request_is_told_with_its_object_and_answer() -> None:
    assert str(REFUSED) == "list the nodes: the API server answered 403 (nodes is forbidden)"


def test_help_lists_only_the_providers_that_exist(capsys: Capture) -> None:
    assert cli.run(["sweep", "--help"]) == 0
    assert f"One of: {', '.join(PROVIDERS)}." in " ".join(capsys.readouterr().out.split())


def test_bytes_are_not_written_to_a_terminal(tmp_path: Path) -> None:
    begun(tmp_path)
    ours, theirs = os.openpty()
    words = [str(Path(sys.executable).with_name("pulldriver")), "export", "runs", "--format", "parquet"]
    with os.fdopen(ours, "rb"), os.fdopen(theirs, "wb") as terminal:
        ended = subprocess.run([*words, "--out", str(tmp_path)], stdout=terminal, stderr=subprocess.PIPE, check=False)
    assert (ended.returncode, b"runs as parquet is not for a terminal: add --to FILE" in ended.stderr) == (2, True)


def test_a_command_that_is_offered_can_be_pasted_whatever_the_directory_is_called(
    tmp_path: Path, capsys: Capture
) -> None:
    directory = tmp_path / "my study"
    directory.mkdir()
    begun(directory)
    assert cli.run(["status", "--out", str(directory)]) == 0
    assert f"pulldriver sweep --out '{directory}' --resume" in capsys.readouterr().out
