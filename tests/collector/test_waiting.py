"""How long the spool's oldest entry waits, for the lag in /metrics and /readyz."""

from hypothesis import given
from hypothesis import strategies as st

from collector.monitoring.histogram import BOUNDS_SECONDS, Histogram
from collector.spooling.waiting import WaitingBatches
from tests.collector.harness import VirtualClock


def test_the_oldest_entry_without_acknowledgement_tells_the_lag() -> None:
    clock = VirtualClock()
    waiting = WaitingBatches(clock.monotonic_seconds)
    assert (waiting.entries, waiting.oldest_seconds) == (0, 0.0)
    for number in (1, 2, 3):
        waiting.appended(number)
        clock.advance(10)
    assert (waiting.entries, waiting.oldest_seconds) == (3, 30.0)
    waiting.acknowledged(1)
    assert (waiting.entries, waiting.oldest_seconds) == (2, 20.0)
    waiting.acknowledged(3)
    assert (waiting.entries, waiting.oldest_seconds) == (0, 0.0)


def test_what_an_earlier_process_left_has_waited_before() -> None:
    clock = VirtualClock()
    waiting = WaitingBatches(clock.monotonic_seconds)
    waiting.found(acknowledged=7, last=9, age_seconds=3_600.0)
    waiting.appended(10)
    assert (waiting.entries, waiting.oldest_seconds) == (3, 3_600.0)
    waiting.acknowledged(8)
    assert (waiting.entries, waiting.oldest_seconds) == (2, 3_600.0)
    waiting.acknowledged(9)
    assert (waiting.entries, waiting.oldest_seconds) == (1, 0.0)


@given(
    st.lists(st.tuples(st.floats(0.0, 5.0), st.integers(1, 3), st.integers(0, 4)), max_size=80),
    st.integers(2, 10),
)
def test_the_lag_is_never_short_nor_zero_while_something_waits(
    steps: list[tuple[float, int, int]], most_marks: int
) -> None:
    clock = VirtualClock()
    waiting = WaitingBatches(clock.monotonic_seconds, most_marks)
    came: dict[int, float] = {}
    last = acknowledged = 0
    for pause, more, taken in steps:
        clock.advance(pause)
        last += more
        came |= dict.fromkeys(range(last - more + 1, last + 1), clock.seconds)
        waiting.appended(last)
        acknowledged = min(last, acknowledged + taken)
        waiting.acknowledged(acknowledged)
        assert waiting.entries == last - acknowledged
        if acknowledged == last:
            assert waiting.oldest_seconds == 0.0
        else:
            assert waiting.oldest_seconds >= clock.seconds - came[acknowledged + 1] - 1e-9


def test_a_million_entries_are_remembered_in_bounded_memory() -> None:
    clock = VirtualClock()
    waiting = WaitingBatches(clock.monotonic_seconds, most_marks=100)
    for number in range(1, 5_001):
        waiting.appended(number)
        clock.advance(2.0)
    assert len(waiting._marks) <= 101
    assert waiting.oldest_seconds == 10_000.0


def test_what_took_as_long_as_a_bound_is_in_its_bucket() -> None:
    taken = Histogram()
    for seconds in (BOUNDS_SECONDS[0], BOUNDS_SECONDS[1], 1e9):
        taken.observe(seconds)
    counts = taken.cumulative()
    assert counts[:2] == [1, 2]
    assert counts[-2:] == [2, 3]
    assert taken.buckets()[-1][0] == "+Inf"
    assert taken.count == 3
