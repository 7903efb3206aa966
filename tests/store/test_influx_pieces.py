"""What is read together, so that memory is bounded and nothing is read twice."""

from hypothesis import given
from hypothesis import strategies as st

from pullstudy.store.influx.line_protocol import DAY
from pullstudy.store.influx.pieces import WINDOWS, Piece, finer_than, first_day_first, is_first_day, merged

HOUR = WINDOWS["1h"]


def hour(number: int, points: int = 1) -> Piece:
    return Piece(number * HOUR, (number + 1) * HOUR, points)


def test_neighbours_are_read_together_as_long_as_they_are_few() -> None:
    assert list(merged([hour(100, 3), hour(101, 4), hour(110, 3), hour(111, 9)], 10)) == [
        Piece(100 * HOUR, 111 * HOUR, 10),
        hour(111, 9),
    ]
    assert list(merged([], 10)) == []


def test_what_is_of_unknown_time_comes_first_and_is_read_once() -> None:
    hours = [hour(-500), hour(0, 2), hour(23, 3), hour(400_000)]
    assert list(merged(first_day_first(hours), 100)) == [Piece(0, DAY, 5), hour(-500), hour(400_000)]


@given(st.lists(st.tuples(st.integers(-60, 60), st.integers(1, 9)), unique_by=lambda pair: pair[0]), st.integers(1, 20))
def test_every_hour_lies_in_exactly_one_piece(hours: list[tuple[int, int]], most: int) -> None:
    given_hours = [hour(*pair) for pair in sorted(hours)]
    pieces = list(merged(first_day_first(given_hours), most))
    for each in given_hours:
        assert sum(piece.start <= each.start and each.stop <= piece.stop for piece in pieces) == 1
    assert sum(piece.points for piece in pieces) == sum(each.points for each in given_hours)
    alone = max((each.points for each in given_hours), default=0)
    assert all(piece.points <= max(most, alone) for piece in pieces if not is_first_day(piece))


def test_windows_get_finer_down_to_the_second() -> None:
    assert [finer_than(name) for name in ("1h", "1m", "1s")] == ["1m", "1s", None]
