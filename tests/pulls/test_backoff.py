"""Waits before the next try."""

from random import Random

from pullstudy.pulls.backoff import Backoff


def test_waits_double_to_the_longest_and_jitter_only_shortens_them() -> None:
    exact = Backoff(first_seconds=0.8, jitter=0.0)
    waits = [round(exact.seconds(failures, Random(1)), 3) for failures in range(1, 9)]
    assert waits == [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]
    assert exact.seconds(5_000, Random(1)) == 30.0
    jittered = [Backoff(first_seconds=0.8).seconds(3, Random(seed)) for seed in range(50)]
    assert all(1.6 <= seconds <= 3.2 for seconds in jittered)
    assert len(set(jittered)) == 50
