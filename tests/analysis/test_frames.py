"""DataFrames hold what the exports hold, with unknown left unknown."""

import sys
from pathlib import Path

import pytest

from pullstudy.analysis.errors import ChoiceError
from pullstudy.analysis.export import TABLES
from pullstudy.analysis.frames import frame
from pullstudy.extras import MissingExtraError
from tests.analysis.test_export import HEADERS, exported


@pytest.mark.parametrize("what", TABLES)
def test_a_frame_has_the_exports_columns_and_rows(aws_directory: Path, tmp_path: Path, what: str) -> None:
    table = frame(aws_directory, what)
    assert tuple(table.columns) == HEADERS[what]
    assert len(table) == len(exported(aws_directory, what, tmp_path / "table", "jsonl"))


def test_times_are_aware_and_durations_unknown_where_nobody_told_them(aws_directory: Path) -> None:
    pulls = frame(aws_directory, "pulls")
    assert str(pulls["finished_at"].dtype) == "datetime64[us, UTC]"
    cached = pulls[pulls["outcome"] == "cached"]
    assert len(cached)
    assert cached["pull_seconds"].isna().all()


def test_a_median_by_image_is_one_line(aws_directory: Path) -> None:
    pulls = frame(aws_directory, "pulls")
    largest = pulls[pulls["tag"] == "9-layers-size-19034736629-bytes"]
    medians = largest.groupby("size")["pull_seconds"].median().round(1)
    assert medians.to_dict() == {4: 108.6, 8: 108.6, 16: 108.3}


def test_an_unknown_table_is_said_to_be_unknown(aws_directory: Path) -> None:
    with pytest.raises(ChoiceError, match="choose pulls"):
        frame(aws_directory, "nothing")


def test_a_frame_without_pandas_names_the_extra(aws_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pullstudy\[report\]'"):
        frame(aws_directory)
