"""What needs no library of an extra works without them all, and what needs one says in a line which to install."""

import subprocess
import sys
from pathlib import Path

import pytest

EXTRAS = ("boto3", "grafanalib", "influxdb_client", "numpy", "pandas", "pyarrow", "scipy", "vl_convert")
# A name that stands for None in sys.modules cannot be imported: as if it were not installed.
COMMAND = (
    f"import sys\nsys.modules.update(dict.fromkeys({EXTRAS}))\nimport collector.cli\n"
    "from driver.cli import run\nsys.exit(run(sys.argv[1:]))"
)


def without_extras(*words: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", COMMAND, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


def test_exporting_and_comparing_need_no_extra(sweep_directory: Path, tmp_path: Path) -> None:
    for words in (
        ("export", "pulls", "--out", sweep_directory),
        ("export", "phases", "--out", sweep_directory, "--format", "jsonl"),
        ("compare", sweep_directory, sweep_directory),
        ("status", "--out", sweep_directory),
    ):
        ended = without_extras(*words)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout


@pytest.mark.parametrize(
    ("words", "library", "extra"),
    [
        (["report"], "vl_convert", "report"),
        (["export", "pulls", "--format", "parquet"], "pyarrow", "parquet"),
    ],
)
def test_what_needs_an_extra_names_it(sweep_directory: Path, words: list[str], library: str, extra: str) -> None:
    ended = without_extras(*words, "--out", sweep_directory)
    complaint = f"pulldriver: {library} is not installed, and this needs it: pip install 'pullstudy[{extra}]'\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", complaint)


def test_a_frame_without_pandas_names_the_extra(sweep_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pullstudy.analysis.frames import frame
    from pullstudy.extras import MissingExtraError

    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pullstudy\[report\]'"):
        frame(sweep_directory)
