"""Durations of kubelets before 1.26 include the waiting for other pulls: report and compare say so, and only then."""

import json
from pathlib import Path

import pytest

from driver import cli
from pullstudy.analysis.comparison.compare import compare
from tests.hostile.logs import event

IMAGE = "registry.example/team/app:1"
OLD = "in 30s"
NEW = "in 10s (30s including waiting)"
NOTE = "tell one duration alone, as kubelets before 1.26 do: it includes waiting for other pulls"


def imported(directory: Path, *durations: str) -> Path:
    """A study of a log with one pull a message."""
    log = directory / "log"
    directory.mkdir()
    log.write_bytes(
        b"".join(
            event(f"uid-{number}", message=f'Successfully pulled image "{IMAGE}" {duration}'.strip())
            for number, duration in enumerate(durations)
        )
    )
    out = directory / "study"
    assert cli.run(["import", str(log), "--size", "4", "--out", str(out)]) == 0
    return out


def notes(first: Path, second: Path) -> list[str]:
    return [str(each) for each in compare(first, second).differences if "one duration" in str(each)]


def test_a_speed_up_that_is_only_the_waiting_left_out_is_told_as_one(tmp_path: Path) -> None:
    """The truth: every pull took 10 s after 20 s of waiting, on both sides."""
    old, new = imported(tmp_path / "old", *[OLD] * 4), imported(tmp_path / "new", *[NEW] * 5)
    assert notes(old, new) == [f"4 of 4 pulls of the first {NOTE}"]
    assert notes(new, old) == [f"4 of 4 pulls of the second {NOTE}"]


def test_patched_kubelets_among_others_are_counted(tmp_path: Path) -> None:
    mixed, new = imported(tmp_path / "mixed", OLD, NEW, NEW), imported(tmp_path / "new", NEW)
    assert notes(mixed, new) == [f"1 of 3 pulls of the first {NOTE}"]


@pytest.mark.parametrize("duration", [OLD, NEW])
def test_durations_of_one_kind_are_compared_without_a_note(duration: str, tmp_path: Path) -> None:
    assert notes(imported(tmp_path / "a", duration), imported(tmp_path / "b", duration)) == []


@pytest.mark.parametrize(("duration", "told"), [(OLD, True), (NEW, False)])
def test_the_report_says_of_which_durations_the_waiting_is_a_part(duration: str, told: bool, tmp_path: Path) -> None:
    study = imported(tmp_path / "a", duration, duration)
    assert cli.run(["report", "--out", str(study)]) == 0
    said = "2 of 2 pulls tell one duration alone, as kubelets before 1.26 do: it includes waiting in the queue."
    assert (said in (study / "report.html").read_text()) is told


@pytest.mark.parametrize(
    ("message", "seconds", "waiting", "size"),
    [
        ("", "", "", ""),
        (" in 30s", "30.0", "", ""),
        (" in 10s (30s including waiting). Image size: 7 bytes.", "10.0", "20.0", "7"),
    ],
)
def test_what_a_message_does_not_tell_is_an_empty_cell(
    message: str, seconds: str, waiting: str, size: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = imported(tmp_path / "a", message.strip())
    capsys.readouterr()
    assert cli.run(["export", "pulls", "--out", str(study), "--format", "jsonl"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert [str(row[name] or "") for name in ("pull_seconds", "waiting_seconds", "image_bytes")] == [
        seconds,
        waiting,
        size,
    ]
