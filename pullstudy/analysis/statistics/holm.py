"""Several tests in one table: which still hold. Source: Holm 1979, A simple sequentially rejective procedure."""

from collections.abc import Sequence


def holds(ps: Sequence[float | None], level: float = 0.05) -> list[bool]:
    """Of each p, whether it holds when all are tested together; one that is None was not tested and does not hold.

    The chance that any holds of which nothing is true is at most ``level``.
    """
    tested = sorted((p, place) for place, p in enumerate(ps) if p is not None)
    held = [False] * len(ps)
    for rank, (p, place) in enumerate(tested):
        if p * (len(tested) - rank) > level:
            break
        held[place] = True
    return held
