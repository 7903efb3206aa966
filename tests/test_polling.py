"""Looking again and again: the pauses between, and the last look at the limit."""

from pullstudy.polling import Pace, every, polls


class Pauses:
    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)


async def looks(pace: Pace, limit_seconds: float) -> tuple[list[float], list[float]]:
    pauses = Pauses()
    waited = [each async for each in polls(pace, limit_seconds, sleep=pauses.sleep)]
    return waited, pauses.seconds


async def test_the_first_look_comes_at_once_and_the_pauses_grow_to_the_longest() -> None:
    waited, pauses = await looks(Pace(1.0, 5.0), 18.0)
    assert pauses == [1.0, 2.0, 4.0, 5.0, 5.0, 1.0]
    assert waited == [0.0, 1.0, 3.0, 7.0, 12.0, 17.0, 18.0], "the last look is at the limit"


async def test_without_time_to_wait_there_is_one_look() -> None:
    assert await looks(every(1.0), 0.0) == ([0.0], [])


async def test_what_was_found_ends_the_looking_without_another_pause() -> None:
    pauses = Pauses()
    async for waited in polls(every(2.0), sleep=pauses.sleep):
        if waited >= 4.0:
            break
    assert pauses.seconds == [2.0, 2.0]


async def test_by_a_clock_the_looks_count_as_waited_too() -> None:
    clock = Pauses()
    found = []
    async for waited in polls(every(10.0), 100.0, sleep=clock.sleep, monotonic=lambda: sum(clock.seconds)):
        found.append(waited)
        await clock.sleep(60.0)  # an answer that does not come
    assert found == [0.0, 70.0]
