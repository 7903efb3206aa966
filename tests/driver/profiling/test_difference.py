"""By how much the pulls of two images differ, and in which stage: pulls with a known truth."""

import pytest

from driver.profiling.difference import difference
from driver.profiling.profile import ProfiledPull
from pullstudy.pulls.stage import Stage
from tests.driver.profiling.made_pulls import AT, made_pull


def test_two_images_differ_where_the_pairs_say_so_and_in_the_stage_that_grew() -> None:
    slow = [made_pull(transfer=1.0, apply=apply) for apply in (3.0, 3.2, 3.1)]
    fast = [made_pull(transfer=1.1, apply=apply) for apply in (2.0, 2.1, 2.1)]
    found = difference("gzip", slow, "zstd", fast)
    assert found is not None
    assert found.stage is Stage.APPLY
    assert found.saves.seconds == pytest.approx(0.9333, abs=1e-4)
    assert found.saves.least < 0.9333 < found.saves.most
    assert found.sentence.startswith("zstd takes 0.93 s less than gzip (23%; 95%: ")
    assert found.sentence.endswith("1.03 s of it in apply.")
    assert found.stages[Stage.TRANSFER].seconds == pytest.approx(-0.1)
    assert (found.stages[Stage.APPLY].is_told, found.stages[Stage.QUEUE].is_told) == (True, False)
    back = difference("zstd", fast, "gzip", slow)
    assert back is not None
    assert back.sentence.startswith("gzip takes 0.93 s more than zstd (29%; 95%: 0.79 to 1.08 s), 1.03 s of it")


def test_what_the_pairs_do_not_tell_is_said() -> None:
    ones = [made_pull(apply=apply) for apply in (3.0, 3.5, 3.1)]
    others = [made_pull(apply=apply) for apply in (3.2, 3.1, 3.2)]
    found = difference("a", ones, "b", others)
    assert found is not None
    assert found.sentence.startswith("b and a: no difference can be told (the former saves 95%: -0.")
    assert difference("a", ones[:1], "b", others[:1]) is None


def test_an_interval_is_students_t_of_the_pairs() -> None:
    """Differences 1, 2 and 3: mean 2, standard error 1/sqrt(3), 4.303 of them with two degrees of freedom."""
    found = difference(
        "a", [made_pull(apply=s) for s in (2.0, 4.0, 5.0)], "b", [made_pull(apply=s) for s in (1.0, 2.0, 2.0)]
    )
    assert found is not None
    assert found.saves.least == pytest.approx(2 - 4.3027 / 3**0.5, abs=1e-3)
    assert found.saves.most == pytest.approx(2 + 4.3027 / 3**0.5, abs=1e-3)


def test_a_stage_that_is_not_known_of_every_pull_is_left_out() -> None:
    untraced = [ProfiledPull(AT, seconds, None, None) for seconds in (1.0, 2.0)]
    found = difference("a", [made_pull(apply=3.0), made_pull(apply=4.0)], "b", untraced)
    assert found is not None
    assert found.stages == {}
    assert found.sentence == "b takes 2.00 s less than a (57%; 95%: 2.00 to 2.00 s)."
