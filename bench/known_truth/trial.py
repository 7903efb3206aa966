"""One trial, and the table of many."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trial:
    """What was so and what was said. ``right`` None: nothing was said, of what is there to be said or not."""

    conclusion: str
    truth: str
    said: str
    right: bool | None


@dataclass(frozen=True, slots=True)
class Row:
    """All trials of one truth."""

    conclusion: str
    truth: str
    said: Counter[str]
    right: int
    wrong: int
    unknown: int


def rows(trials: Iterable[Trial]) -> list[Row]:
    """In the order in which the truths first come."""
    groups: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.conclusion, trial.truth), []).append(trial)
    return [
        Row(
            conclusion,
            truth,
            Counter(trial.said for trial in found),
            sum(trial.right is True for trial in found),
            sum(trial.right is False for trial in found),
            sum(trial.right is None for trial in found),
        )
        for (conclusion, truth), found in groups.items()
    ]


def table(found: Iterable[Row]) -> Iterator[str]:
    """Markdown, as the docs have it."""
    yield "|conclusion|truth|said|right|wrong|unknown|"
    yield "|-|-|-|-|-|-|"
    for row in found:
        said = ", ".join(f"{word} {count}" for word, count in row.said.most_common())
        yield f"|{row.conclusion}|{row.truth}|{said}|{row.right}|{row.wrong}|{row.unknown}|"
