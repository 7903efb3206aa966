"""``pulldriver dashboards``: the same commands and exit codes as elsewhere, and one line where something is wrong."""

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
