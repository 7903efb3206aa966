"""Who ran a study and why: kept as it was said, and shown where the study is."""

import json
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from driver import cli
from driver.planning.study import Overrides, encode_study, load_study
from driver.sweep import wall_clock
from pullstudy.analysis.report.page import page
from pullstudy.store.embedded.ledger import ClusterRow, Ledger, Run
from tests.driver.sweeps import rows, start_command, write_study

Capture = pytest.CaptureFixture[str]
RUN = Run(run="run1", provider="sim", study="{}", started_at=wall_clock())


def test_a_note_is_a_line_and_each_is_kept_once() -> None:
    run = (
        RUN.noted("Ada,\n  for the\treview").noted("again, on Monday").noted("again, on Monday").noted(None).noted(" ")
    )
    assert run.notes == ("Ada, for the review", "again, on Monday")
    assert RUN.notes == ()


@pytest.mark.timeout(300)
def test_a_sweeps_note_is_in_status_report_and_comparison(tmp_path: Path, capsys: Capture) -> None:
    out, study = tmp_path / "out", write_study(tmp_path, "9-layers-size-1176249324-bytes")
    words = ["--out", str(out), "--sizes", "2", "--study", str(study)]
    with start_command("sweep", *words, "--note", "Ada <b>&</b> Bob, before the upgrade") as process:
        assert process.wait(timeout=200) == 0
    assert rows(out, "SELECT note FROM runs") == [("Ada <b>&</b> Bob, before the upgrade",)]
    with start_command("sweep", *words, "--resume", "--note", "looked at again") as process:
        assert process.wait(timeout=200) == 0
    notes = ["Ada <b>&</b> Bob, before the upgrade", "looked at again"]
    assert cli.run(["status", "--out", str(out)]) == 0
    assert "  note: Ada <b>&</b> Bob, before the upgrade\n  note: looked at again\n" in capsys.readouterr().out
    assert cli.run(["status", "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == notes
    assert cli.run(["report", "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == notes
    assert cli.run(["compare", str(out), str(out)]) == 0
    assert "note on the first: looked at again\n" in capsys.readouterr().out
    assert cli.run(["compare", str(out), str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == {"first": notes, "second": notes}


def test_the_reports_header_shows_notes_as_text() -> None:
    shown = page("Image pulls: x", "provider sim", False, (), ["Ada <b>&</b> Bob"])
    assert "<p>Note: Ada &lt;b&gt;&amp;&lt;/b&gt; Bob</p>" in shown


def test_an_imports_note_is_kept_and_a_second_import_adds_its_own(tmp_path: Path, study_data: Path) -> None:
    file = study_data / "pulling-aws" / "events-size-4.json"
    for note in ("from Ada's laptop", "from Ada's laptop", "and once more"):
        cli.run(["import", str(file), "--out", str(tmp_path), "--size", "4", "--note", note])
    assert rows(tmp_path, "SELECT note FROM runs") == [("from Ada's laptop\nand once more",)]


def test_a_note_that_no_header_has_room_for_is_refused(tmp_path: Path, capsys: Capture) -> None:
    assert cli.run(["sweep", "--out", str(tmp_path / "out"), "--note", "x" * 1001]) == 2
    assert "--note: 1,001 characters; give at most 1,000" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_a_note_nothing_is_said(tmp_path: Path, capsys: Capture) -> None:
    with closing(Ledger(tmp_path, create=True)) as ledger:
        study = encode_study(load_study("quick", Overrides(sizes="2")))
        run = msgspec.structs.replace(RUN, study=study)
        ledger.begin(run, [ClusterRow(cluster="sim-quick-2", run="run1", size=2)])
    assert cli.run(["status", "--out", str(tmp_path)]) == 0
    assert "  note:" not in capsys.readouterr().out


def test_a_note_that_no_run_can_keep_is_refused(tmp_path: Path, capsys: Capture) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": []}))
    assert cli.run(["import", str(manifest), "--note", "for the review", "--out", str(tmp_path / "out")]) == 2
    assert "--note" in capsys.readouterr().err
