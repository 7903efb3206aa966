"""One log that is imported as two clusters: each pull is then there twice, and the user is told."""

from pathlib import Path

import pytest

from driver import cli


@pytest.fixture
def logs(study_data: Path) -> dict[int, str]:
    return {size: str(study_data / "pulling-aws" / f"events-size-{size}.json") for size in (4, 8)}


def imported(log: str, cluster: str, out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What is told on stderr."""
    assert cli.run(["import", log, "--run", "r", "--cluster", cluster, "--out", str(out)]) == 0
    return capsys.readouterr().err


def test_a_log_under_two_names_is_told_with_the_other_name(
    logs: dict[int, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "same events" not in imported(logs[4], "one", tmp_path, capsys)
    assert "same events" not in imported(logs[4], "one", tmp_path, capsys)
    told = imported(logs[4], "two", tmp_path, capsys)
    assert "43 of 43 pulls of cluster two that were looked at are of the same events as pulls of cluster one" in told


def test_logs_of_two_clusters_are_told_nothing(
    logs: dict[int, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for size, log in logs.items():
        assert "same events" not in imported(log, f"c{size}", tmp_path, capsys)
