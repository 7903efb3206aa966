"""What bounds a pull, what would help and what it saves: pulls with a known truth."""

import pytest

from driver.profiling.profile import ProfiledPull
from driver.profiling.verdict import median_pull, verdict
from driver.profiling.zstd_trial import ZstdTrial
from pullstudy.pulls.stage import Stage
from tests.driver.profiling.made_pulls import AT, made_layer, made_pull

UNTRACED = ProfiledPull(AT, 2.0, None, None)


def test_unpacking_that_could_go_on_at_once_saves_at_most_what_processors_and_the_longest_layer_leave() -> None:
    layers = tuple(made_layer(place, apply=1.0 if place else 2.0) for place in range(5))
    found = verdict([made_pull(layers, apply=6.0, transfer=2.0)], processors=4)
    assert found is not None
    assert (found.stages, found.share) == ((Stage.APPLY,), 0.75)
    assert found.saves_seconds == pytest.approx(6.0 - 2.0), "the longest layer takes 2 s, four processors leave 1.5 s"
    assert found.sentence == (
        "apply takes 75% (6.00 s): unpacking several layers at a time (max_concurrent_unpacks of its transfer service) "
        "would save at most 4.00 s, 50% (if the disk keeps up with 4 processors)."
    )


def test_what_zstd_would_save_is_what_was_tried_for_all_gzip_bytes() -> None:
    """Of 10 MB of gzip 2 MB were tried; a tenth of the unpacking was hidden by other layers' downloads."""
    layers = tuple(made_layer(place, size=5_000_000, apply=2.5) for place in range(2))
    trial = ZstdTrial(gzip_bytes=2_000_000, zstd_bytes=2_000_000, gzip_seconds=0.5, zstd_seconds=0.1)
    found = verdict([made_pull(layers, apply=4.5, transfer=1.5)], processors=1, trial=trial)
    assert found is not None
    assert found.saves_seconds == pytest.approx(5 * 0.4 * 0.9)
    assert found.sentence == (
        "apply takes 75% (4.50 s): zstd in place of gzip would save about 1.80 s, 30% (if containerd's differ as zlib "
        "and zstd do here, tried on 2.0 MB of a layer)."
    )
    both = verdict([made_pull(layers, apply=4.5, transfer=1.5)], processors=2, trial=trial)
    assert both is not None
    assert both.sentence.startswith(found.sentence[:-1])
    assert "; unpacking several layers at a time" in both.sentence


def test_zstd_that_is_no_faster_is_not_advised() -> None:
    trial = ZstdTrial(gzip_bytes=2_000_000, zstd_bytes=2_000_000, gzip_seconds=0.1, zstd_seconds=0.1)
    found = verdict([made_pull((made_layer(apply=4.5),), apply=4.5)], processors=1, trial=trial)
    assert found is not None
    assert "zstd" not in found.sentence


@pytest.mark.parametrize(
    ("pull", "processors"),
    [
        (made_pull((made_layer(apply=6.0, media_type="tar+zstd"),), apply=6.0, transfer=2.0), 4),
        (made_pull(tuple(made_layer(p, apply=3.0, media_type="zstd") for p in range(2)), apply=6.0, transfer=2.0), 1),
        (
            made_pull(
                tuple(made_layer(p, apply=3.0, media_type="zstd") for p in range(2)),
                apply=6.0,
                transfer=2.0,
                parallel=True,
            ),
            4,
        ),
    ],
    ids=["one layer", "one processor", "several at a time already"],
)
def test_where_more_at_a_time_does_not_help_the_bound_is_all_of_it(pull: ProfiledPull, processors: int) -> None:
    found = verdict([pull], processors)
    assert found is not None
    assert found.sentence == "apply takes 75% (6.00 s): what makes unpacking faster saves at most 6.00 s, 75%."


def test_a_slow_link_is_told_by_the_rate_while_bytes_came() -> None:
    """Two layers at once, and one later: 30 MB in 3 s, of which the pull waited for 2 s."""
    layers = (
        made_layer(0, size=10_000_000, transfer=(0.0, 2.0)),
        made_layer(1, size=10_000_000, transfer=(0.5, 1.5)),
        made_layer(2, size=10_000_000, transfer=(4.0, 1.0)),
    )
    found = verdict([made_pull(layers, transfer=2.0, apply=1.0)], processors=2)
    assert found is not None
    assert found.sentence == (
        "transfer takes 67% (2.00 s): 30.0 MB came at 10.0 MB/s; a tenth of the bytes less would save about 0.20 s, 7% "
        "(if they go on to come at that rate)."
    )


def test_a_rate_that_no_layer_tells_is_left_out() -> None:
    found = verdict([made_pull((made_layer(0),), transfer=2.0)], processors=2)
    assert found is not None
    assert "1.0 MB came; a tenth" in found.sentence


@pytest.mark.parametrize(
    ("stage", "says"),
    [
        ("ingest", "2 layers, 1500.0 ms each; half of the layers would save about 1.50 s, 38%"),
        ("commit", "half of the layers would save about 1.50 s"),
        ("prepare", "half of the layers would save about 1.50 s"),
        (
            "first_byte",
            "the registry's answers are waited for (2 requests for layers); a mirror nearby saves at most 3.00 s",
        ),
        ("resolve", "a mirror nearby saves at most 3.00 s, 75%"),
        ("queue", "more downloads at a time (max_concurrent_downloads) save at most 3.00 s"),
        ("wait", "save at most 3.00 s"),
        ("finish", "the spans do not say what for"),
        ("unattributed", "containerd's debug log tells more"),
    ],
)
def test_each_stage_has_what_would_help(stage: str, says: str) -> None:
    found = verdict([made_pull((made_layer(0), made_layer(1)), **{stage: 3.0, "transfer": 1.0})], processors=2)
    assert found is not None
    assert found.stages == (stage,)
    assert says in found.sentence


def test_what_each_layer_costs_anew_is_one_cause() -> None:
    """Each of the three is less than unpacking, together they are more."""
    layers = tuple(made_layer(place, apply=0.04) for place in range(100))
    stages = {"prepare": 3.0, "ingest": 2.0, "commit": 3.0}
    found = verdict([made_pull(layers, apply=5.0, transfer=3.0, **stages)], processors=2)
    assert found is not None
    assert found.sentence == (
        "prepare, ingest and commit take 50% (8.00 s): 100 layers, 80.0 ms each; half of the layers would save about "
        "4.00 s, 25% (if it goes with the number of layers and not with their bytes; a faster disk helps too)."
    )
    single = verdict([made_pull((made_layer(0),), apply=5.0, transfer=3.0, **stages)], processors=2)
    assert single is not None
    assert single.stages == (Stage.APPLY,)


def test_means_are_of_pulls_that_spans_told_of() -> None:
    found = verdict([made_pull(transfer=1.0, apply=2.0), UNTRACED, made_pull(transfer=3.0, apply=4.0)], processors=1)
    assert found is not None
    assert (found.stages, found.seconds, found.share) == ((Stage.APPLY,), 3.0, 0.6)
    assert verdict([UNTRACED], processors=1) is None


def test_the_pull_in_the_middle_is_one_that_spans_told_of() -> None:
    pulls = [made_pull(seconds=seconds, apply=1.0) for seconds in (3.0, 1.0, 2.0, 4.0)]
    assert median_pull([*pulls, UNTRACED]).seconds == 2.0
    assert median_pull([UNTRACED]) is UNTRACED
