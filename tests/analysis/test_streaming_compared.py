"""Real clusters with image streaming against the same without: what of it can be said."""

from pathlib import Path

import pytest

from driver import cli
from pullstudy.analysis.comparison.compare import Comparison, compare
from pullstudy.analysis.comparison.text import lines
from pullstudy.analysis.statistics.speed_up import Answer

PERHAPS = "whole in the first, perhaps streamed in the second"


@pytest.fixture(scope="module")
def compared(study_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    directory = tmp_path_factory.mktemp("streaming")
    for name in ("off", "on"):
        for size in ("4", "8"):
            source = study_data / f"gke-streaming-{name}"
            files = [str(source / file) for file in (f"events-{size}.jsonl", f"nodes-{size}.json")]
            assert cli.run(["import", *files, "--size", size, "--run", name, "--out", str(directory / name)]) == 0
    return compare(directory / "off", directory / "on")


def test_the_speed_up_of_streamed_pulls_is_told_a_size_and_apart_from_whole_ones(compared: Comparison) -> None:
    streamed = compared.compared.streamed[PERHAPS]
    small, large = streamed.sizes[4], streamed.sizes[8]
    assert (small.answer, large.answer) == (Answer.SLOWER, Answer.FASTER)
    assert large.speed_up.value == pytest.approx(11.08, abs=0.1)
    assert 9 < (large.speed_up.low or 0) < (large.speed_up.high or 0) < 14
    assert small.speed_up.value == pytest.approx(0.378, abs=0.01)
    assert compared.compared.streamed["whole in both"].sizes[8].speed_up.value == pytest.approx(0.95, abs=0.05)


def test_no_answer_is_given_over_sizes_that_contradict_each_other(compared: Comparison) -> None:
    streamed = compared.compared.streamed[PERHAPS]
    assert streamed.sizes_differ
    assert streamed.overall.answer is Answer.UNKNOWN


def test_an_interval_that_bounds_nothing_is_called_unknown(compared: Comparison) -> None:
    """Two sizes leave one degree of freedom: its interval reaches from nothing to billions of times."""
    high = compared.compared.streamed[PERHAPS].overall.speed_up.high
    (line,) = [line for line in lines(compared) if line.startswith(f"  pulls {PERHAPS}")]
    assert high is not None
    assert high > 1e9
    assert line.split()[-4:-1] == ["unknown", "cannot", "tell"]


def test_what_marks_the_treatment_is_said_with_the_answer(compared: Comparison) -> None:
    told = [line for line in lines(compared) if line.startswith("- ")]
    assert told[0].startswith(
        "- of streamed pulls not all bytes had come: none in the first and perhaps 48 of 60 pulls, "
    )
    assert "image streaming: true" in told[1]
