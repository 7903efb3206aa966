"""The order of the jobs at one size. Pure: the same study and size give the same order, in every process."""

import random

from driver.planning.study import Order, RunPlan


def ordered(images: tuple[str, ...], run: RunPlan, size: int) -> list[tuple[str, int]]:
    """(image, repeat) in the order in which they run; repeats count from 1."""
    rounds = range(1, run.repeats + 1)
    if run.order is Order.SEQUENTIAL:
        return [(image, repeat) for image in images for repeat in rounds]
    pairs = [(image, repeat) for repeat in rounds for image in images]
    if run.order is Order.RANDOM:
        # Seeding with a text is hashed by sha512, the same everywhere; a tuple would go through hash().
        random.Random(f"{run.seed}/{size}").shuffle(pairs)
    return pairs
