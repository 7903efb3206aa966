"""``pulldriver dashboards``: the same commands and exit codes as elsewhere, and one line where something is wrong."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from dashboards.build import files
from dashboards.flux import Bucket
from driver import cli
from tests.dashboards.fake_grafana import TOKEN, fake_grafana

Capture = pytest.CaptureFixture[str]


def test_build_writes_the_files_and_names_them(tmp_path: Path, capsys: Capture) -> None:
    assert cli.run(["dashboards", "build", str(tmp_path), "--bucket", "other"]) == 0
    named = capsys.readouterr().out.splitlines()
    assert {Path(line).relative_to(tmp_path).as_posix(): Path(line).read_bytes() for line in named} == files(
        Bucket("other")
    )


def test_a_checkout_starts_them_as_a_module_too(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-m", "dashboards", "build", tmp_path], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(ended.stdout.splitlines()) == len(files(Bucket("pulls")))


def test_push_says_what_was_put(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("GRAFANA_TOKEN", TOKEN)
    monkeypatch.delenv("INFLUXDB_V2_URL", raising=False)
    with fake_grafana() as fake:
        assert cli.run(["dashboards", "push", fake.url]) == 0
    assert "folder pullstudy" in capsys.readouterr().out


def test_a_directory_that_cannot_be_written_to_is_a_failure_of_one_line(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").touch()
    assert cli.run(["dashboards", "build", str(tmp_path / "file")]) == 1
    complaint = f"pulldriver: {tmp_path / 'file'}: File exists; give a directory that can be written to\n"
    assert capsys.readouterr().err == complaint


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["push", "localhost:3000"], "Grafana: 'localhost:3000' is no address; write it as http://HOST:3000"),
        (["push", "http://localhost:3000"], "Grafana: no token; set GRAFANA_TOKEN, or GRAFANA_TOKEN_FILE to a file"),
        (["push"], "Missing argument 'URL'; see pulldriver dashboards --help"),
    ],
)
def test_wrong_use_is_one_line_and_code_2(
    words: list[str], complaint: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.delenv("GRAFANA_TOKEN", raising=False)
    monkeypatch.delenv("GRAFANA_TOKEN_FILE", raising=False)
    assert cli.run(["dashboards", *words]) == 2
    assert capsys.readouterr().err == f"pulldriver: {complaint}\n"


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["build", "OUT", "--colour"], 2, "No such option: --colour; see pulldriver dashboards --help"),
        (["paint"], 2, "No such command 'paint'; see pulldriver dashboards --help"),
        (["build", "FILE"], 1, "FILE: File exists; give a directory that can be written to"),
        (["fill", "OUT", "--influx", "http://localhost:1"], 2, "OUT is no study: study.sqlite3 is not in it"),
        (["fill", "OUT", "--influx", "localhost:8086"], 2, "'localhost:8086'"),
        (["push", "ftp://grafana"], 2, "Grafana: 'ftp://grafana' is no address; write it as http://HOST:3000"),
    ],
)
def test_as_a_module_it_has_the_same_errors_and_exit_codes(
    words: list[str], code: int, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(sys, "argv", ["dashboards", *(_placed(word, tmp_path) for word in words)])
    monkeypatch.setenv("INFLUXDB_V2_TOKEN", "token")
    monkeypatch.setenv("INFLUXDB_V2_ORG", "organisation")
    (tmp_path / "FILE").touch()
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("dashboards", run_name="__main__")
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (code, "")
    assert told.err.startswith("pulldriver: ")
    assert told.err.count("\n") == 1
    assert complaint in told.err.replace(f"{tmp_path}/", "")


def _placed(word: str, directory: Path) -> str:
    return str(directory / word) if word in ("OUT", "FILE") else word


def test_a_directory_without_a_study_is_wrong_use(tmp_path: Path, capsys: Capture) -> None:
    assert cli.run(["dashboards", "fill", str(tmp_path), "--influx", "http://localhost:1"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("words", [["build", "out"], ["push", "http://localhost:3000"]])
def test_without_the_extra_one_line_names_the_command_that_installs_it(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(sys.modules, "grafanalib", None)
    assert cli.run(["dashboards", *words]) == 2
    complaint = "grafanalib is not installed, and this needs it: pip install 'pullstudy[dashboards]'"
    assert capsys.readouterr().err == f"pulldriver: {complaint}\n"


@pytest.mark.parametrize("words", [[], ["build"], ["push"], ["fill"]])
def test_each_shows_an_example(words: list[str], capsys: Capture) -> None:
    assert cli.run(["dashboards", *words, "--help"]) == 0
    assert "Example" in capsys.readouterr().out
