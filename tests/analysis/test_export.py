"""Exports: their columns, what unknown is written as, and that a failure leaves what was there."""

import csv
import io
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullstudy.analysis.errors import ChoiceError, OutputError
from pullstudy.analysis.export import LAYER_COLUMNS, TABLES, LayerChoice, export
from pullstudy.analysis.findings.similarity import PAIR_COLUMNS
from pullstudy.analysis.output_file import output_file
from pullstudy.analysis.tables import FORMULA_BEGINNINGS, WRITERS, Table, TableColumn, write_csv, write_jsonl
from pullstudy.analysis.timelines.moments import MOMENT_COLUMNS
from pullstudy.analysis.timelines.phases import PHASE_COLUMNS, PHASES
from pullstudy.pulls.milestone import Moment
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.pulled_layer import PulledLayer
from pullstudy.pulls.record import PULL_COLUMNS, Outcome
from pullstudy.store.embedded.store import EmbeddedStore, NotAStudyError
from pullstudy.store.selection import Selection
from tests.analysis.hand_made import HandMade, image_of

HEADERS = {
    "pulls": (*PULL_COLUMNS, "cache", "layers", "unpacked_bytes", "compressed_bytes", "size_source"),
    "phases": PHASE_COLUMNS,
    "moments": MOMENT_COLUMNS,
    "runs": ("run", "cluster", "size", "pulls", "first_at", "last_at"),
    "layers": tuple(LAYER_COLUMNS),
    "similarity": PAIR_COLUMNS,
    "stages": (
        *PullStages.__struct_fields__,
        *("job", "container", "event_uid", "count", "pull_seconds", "joined_by"),
    ),
    "layer-stages": PulledLayer.__struct_fields__,
}


def exported(directory: Path, what: str, to: Path, format: str = "csv", choice: LayerChoice | None = None) -> list[Any]:
    export(directory, what, format, to, choice or LayerChoice())
    if format == "jsonl":
        return [json.loads(line) for line in to.read_text().splitlines()]
    if format == "parquet":
        from pyarrow import parquet

        rows: list[Any] = parquet.read_table(to).to_pylist()
        return rows
    with to.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("what", TABLES)
@pytest.mark.parametrize("format", WRITERS)
def test_every_table_has_its_columns_in_order_in_every_format(
    aws_directory: Path, staged_directory: Path, tmp_path: Path, what: str, format: str
) -> None:
    directory = staged_directory if what in ("stages", "layer-stages") else aws_directory
    rows = exported(directory, what, tmp_path / "table", format)
    assert rows
    assert tuple(rows[0]) == HEADERS[what]


def test_stages_and_their_layers_are_exported_with_what_is_unknown_empty(
    staged_directory: Path, tmp_path: Path
) -> None:
    pulls = exported(staged_directory, "stages", tmp_path / "stages.csv")
    layers = exported(staged_directory, "layer-stages", tmp_path / "layers.csv")
    assert [(row["image"], row["layers"], row["complete"]) for row in pulls] == [
        ("10.88.0.1:5000/z9:1", "9", "true"),
        ("10.88.0.1:5000/g9:1", "9", "true"),
    ]
    assert {row["pull"]: len(pulls) for row in layers} == {row["pull"]: 2 for row in pulls}
    assert (len(layers), {row["unpacked_bytes"] for row in layers}) == (18, {""})


def test_the_columns_of_pulls_are_those_of_the_design() -> None:
    columns = (
        "cluster, run, size, node, namespace, job, pod, pod_uid, container, image, repository, tag, digest, outcome, "
        "started_at, finished_at, pull_seconds, waiting_seconds, image_bytes, error, count, event_uid"
    )
    assert ", ".join(PULL_COLUMNS) == columns


def test_the_columns_of_layers_are_those_of_the_studys_own_table(study_data: Path) -> None:
    with (study_data / "pulling-aws" / "container-layers.csv").open() as file:
        assert ["", *LAYER_COLUMNS] == next(csv.reader(file))


def test_one_command_gives_the_layer_table_of_the_study(aws_directory: Path, study_data: Path, tmp_path: Path) -> None:
    choice = LayerChoice(study_data / "pulling-aws" / "container-similarity.csv", without_shared=True)
    rows = exported(aws_directory, "layers", tmp_path / "layers.csv", choice=choice)
    assert (len(rows), len(rows[0])) == (2112, 8)
    assert len({row["full_uri"] for row in rows}) == 32


def test_layers_agree_with_the_studys_own_table_where_both_know_an_image(
    aws_directory: Path, study_data: Path, tmp_path: Path
) -> None:
    with (study_data / "pulling-aws" / "container-layers.csv").open(newline="") as file:
        theirs = {(row["full_uri"], row["digest"], row["layer_size"]) for row in csv.DictReader(file)}
    ours = {
        (row["full_uri"], row["digest"], row["layer_size"]) for row in exported(aws_directory, "layers", tmp_path / "l")
    }
    assert ours <= theirs
    assert {uri for uri, _, _ in theirs - ours} == {"andyzhangx/docker-cleanup:latest"}  # none of the study's images


def test_every_pull_of_the_study_is_exported_once(aws_directory: Path, tmp_path: Path) -> None:
    rows = exported(aws_directory, "pulls", tmp_path / "pulls.csv")
    study = [row for row in rows if row["job"]]
    assert len(study) == len({(row["event_uid"], row["count"]) for row in study}) == (4 + 8 + 16) * 6


def one_pull(directory: Path, **changes: object) -> None:
    made = HandMade()
    made.pull("j", "p", image_of(), 9.722063481, **changes)
    made.write(directory)


def test_unknown_is_empty_in_csv_and_null_in_the_others_and_never_zero(tmp_path: Path) -> None:
    one_pull(tmp_path / "study", waiting_seconds=None, image_bytes=None, error=None)
    (row,) = exported(tmp_path / "study", "pulls", tmp_path / "p.csv")
    assert (row["waiting_seconds"], row["image_bytes"], row["error"], row["digest"]) == ("", "", "", "")
    for format in ("jsonl", "parquet"):
        (row,) = exported(tmp_path / "study", "pulls", tmp_path / "p", format)
        assert (row["waiting_seconds"], row["image_bytes"], row["error"]) == (None, None, None)


def test_a_waiting_time_of_zero_is_written_as_zero(tmp_path: Path) -> None:
    one_pull(tmp_path / "study", waiting_seconds=0.0)
    assert exported(tmp_path / "study", "pulls", tmp_path / "p.csv")[0]["waiting_seconds"] == "0.0"


def test_times_are_iso_8601_with_a_z_and_numbers_exact(tmp_path: Path) -> None:
    one_pull(tmp_path / "study", finished=1.5)
    (row,) = exported(tmp_path / "study", "pulls", tmp_path / "p.csv")
    assert row["finished_at"] == "2026-01-02T03:00:01.500000Z"
    assert float(row["pull_seconds"]) == 9.722063481
    (row,) = exported(tmp_path / "study", "pulls", tmp_path / "p.jsonl", "jsonl")
    assert row["finished_at"] == "2026-01-02T03:00:01.500000Z"
    (row,) = exported(tmp_path / "study", "pulls", tmp_path / "p.parquet", "parquet")
    assert row["finished_at"] == datetime(2026, 1, 2, 3, 0, 1, 500000, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ['=HYPERLINK("http://x","y")', "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1"]
)
def test_text_that_a_spreadsheet_would_run_gets_a_quote_before_it(tmp_path: Path, text: str) -> None:
    one_pull(tmp_path / "study", outcome=Outcome.FAILED, error=text)
    (row,) = exported(tmp_path / "study", "pulls", tmp_path / "p.csv")
    assert row["error"] == f"'{text}"
    (row,) = exported(tmp_path / "study", "pulls", tmp_path / "p.jsonl", "jsonl")
    assert row["error"] == text


def test_a_negative_number_is_a_number_and_not_a_formula(tmp_path: Path) -> None:
    one_pull(tmp_path / "study", waiting_seconds=-0.25)
    assert exported(tmp_path / "study", "pulls", tmp_path / "p.csv")[0]["waiting_seconds"] == "-0.25"


# The csv module cannot read a NUL, and no text of Kubernetes' API holds one.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))


@given(st.lists(st.tuples(TEXT, st.none() | st.floats(allow_nan=False, allow_infinity=False)), max_size=8))
def test_csv_and_jsonl_bring_back_what_was_written(rows: list[tuple[str, float | None]]) -> None:
    columns = (TableColumn("text", str), TableColumn("number", float))
    plain = [row for row in rows if not row[0].startswith(FORMULA_BEGINNINGS)]
    comma = io.BytesIO()
    assert write_csv(Table(columns, plain), comma) == len(plain)
    read = list(csv.reader(io.StringIO(comma.getvalue().decode(), newline="")))[1:]
    assert [(text, float(number) if number else None) for text, number in read] == plain
    lines = io.BytesIO()
    write_jsonl(Table(columns, plain), lines)
    assert [tuple(json.loads(line).values()) for line in lines.getvalue().splitlines()] == plain


def test_an_error_of_several_lines_stays_one_row(tmp_path: Path) -> None:
    one_pull(tmp_path / "study", outcome=Outcome.FAILED, error='failed\n"quoted", and\r\nmore')
    (row,) = exported(tmp_path / "study", "pulls", tmp_path / "p.csv")
    assert row["error"] == 'failed\n"quoted", and\r\nmore'


def test_a_phase_row_tells_its_level_and_every_phase_in_seconds(sweep_directory: Path, tmp_path: Path) -> None:
    rows = exported(sweep_directory, "phases", tmp_path / "phases.csv")
    assert [sum(row["level"] == level for row in rows) for level in ("job", "pod")] == [6, 18]
    assert {f"{phase.name}_seconds" for phase in PHASES} <= set(rows[0])
    assert {row["cache"] for row in rows} == {"cold"}


def test_every_moment_is_a_row_once_with_its_source(tmp_path: Path) -> None:
    made = HandMade()
    made.job("j", image_of(), 0, 20)
    made.mark("j", "j-0-aaaaa", Moment.SCHEDULED, 1)
    for container, pulled in (("one", 5), ("two", 9)):
        made.pull("j", "j-0-aaaaa", image_of(), 1.0, finished=pulled, container=container)
        made.mark("j", "j-0-aaaaa", Moment.PULLED, pulled, container=container)
    made.write(tmp_path / "study")
    rows = exported(tmp_path / "study", "moments", tmp_path / "moments.csv")
    shown = [(row["moment"], row["container"], float(row["seconds"]), row["source"], row["clock"]) for row in rows]
    assert shown == [
        ("job_created", "", 0, "job", "control-plane"),
        ("job_completed", "", 20, "job", "control-plane"),
        ("scheduled", "", 1, "event-name", "control-plane"),
        ("pulled", "one", 5, "event-name", "node-0"),
        ("pulled", "two", 9, "event-name", "node-0"),
    ]


def test_latest_less_earliest_falls_out_of_the_moments(sweep_directory: Path, tmp_path: Path) -> None:
    """The sweep's pods are created 0.05 s apart and pull for a second a 100 MB, each 1% longer than the one before."""
    rows = exported(sweep_directory, "moments", tmp_path / "moments.csv")
    times = defaultdict(list)
    for row in rows:
        if row["moment"] in ("pulling", "pulled"):
            times[int(row["size"]), row["image"], row["number"]].append(float(row["seconds"]))
    spans = {key[:2]: max(found) - min(found) for key, found in times.items()}
    assert spans[2, image_of(9, 1_000_000_000)] == pytest.approx(0.05 + 10.1)
    assert spans[4, image_of(9, 4_000_000_000)] == pytest.approx(0.15 + 41.2)


def test_to_standard_output_goes_what_a_file_would_hold(
    aws_directory: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    count = export(aws_directory, "layers", "csv", None)
    sys.stdout.flush()
    export(aws_directory, "layers", "csv", tmp_path / "layers.csv")
    assert capfdbinary.readouterr().out == (tmp_path / "layers.csv").read_bytes()
    assert count == 2546


def test_pulls_stream_from_the_store_to_the_file(
    aws_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that breaks after its first record has had that record written: nothing was gathered first."""
    seen: list[object] = []
    pulls = EmbeddedStore.pulls

    def breaking(self: EmbeddedStore, selection: Selection) -> Iterator[msgspec.Struct]:
        for record in pulls(self):
            seen.append(record)
            yield record
            raise RuntimeError("broke")

    monkeypatch.setattr(EmbeddedStore, "pulls", breaking)
    with pytest.raises(RuntimeError, match="broke"):
        export(aws_directory, "pulls", "csv", tmp_path / "p.csv")
    assert len(seen) == 1


def test_a_word_that_is_not_offered_is_answered_with_those_that_are(aws_directory: Path) -> None:
    with pytest.raises(ChoiceError, match="table 'pods' is not known: choose pulls, phases, moments, runs,"):
        export(aws_directory, "pods", "csv", None)
    with pytest.raises(ChoiceError, match="format 'xlsx' is not known: choose csv, jsonl, parquet"):
        export(aws_directory, "pulls", "xlsx", None)


def test_a_directory_without_a_study_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(NotAStudyError):
        export(tmp_path, "pulls", "csv", tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == []


def write_half(path: Path) -> None:
    with output_file(path) as file:
        file.write(b"half")
        raise OSError(28, os.strerror(28))


def test_a_failure_half_way_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    with pytest.raises(OutputError, match="No space left on device; what was there before is unchanged"):
        write_half(path)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.csv"]


def test_a_full_device_is_one_line(aws_directory: Path) -> None:
    with pytest.raises(OutputError, match="cannot write /dev/full: No space left on device"):
        export(aws_directory, "pulls", "csv", Path("/dev/full"))


def test_a_directory_that_is_not_there_is_one_line(aws_directory: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file or directory"):
        export(aws_directory, "pulls", "csv", tmp_path / "absent" / "out.csv")


def test_a_link_stays_a_link_and_its_target_is_written(tmp_path: Path) -> None:
    target, link = tmp_path / "target.csv", tmp_path / "link.csv"
    target.write_text("old")
    link.symlink_to(target)
    with output_file(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_pull_of_a_sweep_has_its_nodes_cache_and_its_images_shape(sweep_directory: Path, tmp_path: Path) -> None:
    rows = exported(sweep_directory, "pulls", tmp_path / "p.csv")
    assert {row["cache"] for row in rows if row["job"]} <= {"cold", "partial", "warm"}
    assert {f"{row['layers']}-layers-size-{row['unpacked_bytes']}-bytes" for row in rows} == {
        row["tag"] for row in rows
    }
    assert {row["size_source"] for row in rows} == {"name"}
    one_pull(tmp_path / "study", tag="1")
    (row,) = exported(tmp_path / "study", "pulls", tmp_path / "p.csv")
    assert (row["cache"], row["layers"], row["unpacked_bytes"], row["size_source"]) == ("", "", "", "")
