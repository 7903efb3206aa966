"""How the points of a cluster are read piece by piece: stretches of time that hold about as many each. Pure."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pullstudy.store.influx.line_protocol import DAY, SECOND

# By Flux's names, in nanoseconds; each finer than the one before.
WINDOWS = {"1h": 3_600 * SECOND, "1m": 60 * SECOND, "1s": SECOND}


class Piece(NamedTuple):
    """A stretch of time, in nanoseconds since 1970, and how many points it holds."""

    start: int
    stop: int
    points: int


def finer_than(every: str) -> str | None:
    """The next window for a piece that holds too many points; None where there is none."""
    names = list(WINDOWS)
    place = names.index(every) + 1
    return names[place] if place < len(names) else None


def is_first_day(piece: Piece) -> bool:
    """Whether it is of 1970-01-01: all points of unknown time lie there, in no order."""
    return 0 <= piece.start < DAY


def first_day_first(hours: list[Piece]) -> list[Piece]:
    """What is of unknown time is one piece, and comes before everything else."""
    unknown = sum(piece.points for piece in hours if is_first_day(piece))
    first = [Piece(0, DAY, unknown)] if unknown else []
    return [*first, *(piece for piece in hours if not is_first_day(piece))]


def merged(pieces: Iterable[Piece], most_points: int) -> Iterator[Piece]:
    """Neighbours together, as long as they hold no more points than that, and the first day does not lie between."""
    last: Piece | None = None
    for piece in pieces:
        if last is None:
            last = piece
        elif _parted(last, piece) or last.points + piece.points > most_points:
            yield last
            last = piece
        else:
            last = Piece(last.start, piece.stop, last.points + piece.points)
    if last is not None:
        yield last


def _parted(before: Piece, after: Piece) -> bool:
    return is_first_day(before) or before.start < 0 <= after.start
