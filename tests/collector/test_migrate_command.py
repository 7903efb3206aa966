"""``collector migrate`` as a user types it wrong."""

import pytest

from collector.cli import run_command

ADDRESS = ["migrate", "--influx", "http://127.0.0.1:1"]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFLUXDB_V2_ORG", "o")
    monkeypatch.setenv("INFLUXDB_V2_TOKEN", "t")


@pytest.mark.parametrize("more", [["--to-bucket", "pulls"], ["--from-bucket", "a", "--to-bucket", "a"]])
def test_a_bucket_into_itself_is_wrong_use(more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([*ADDRESS, *more]) == 2
    assert "make another bucket" in capsys.readouterr().err


def test_a_server_that_is_away_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([*ADDRESS, "--to-bucket", "pulls-2"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["migrate", "--help"]) == 0
    assert "collector migrate --influx http://influx:8086 --to-bucket pulls-2 --dry-run" in capsys.readouterr().out
