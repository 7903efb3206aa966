"""In what two studies differ beside what is measured: what marks a treatment, and what makes them not comparable."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from pullstudy.analysis.comparison.compared_facts import ComparedFacts
from pullstudy.analysis.reading.environments import differences, environment_of
from pullstudy.analysis.reading.image_sizes import guessed_images, sizes_of_runs
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import UNKNOWN_CACHE
from pullstudy.pulls.image import parse_image
from pullstudy.pulls.kubelet import duration_includes_waiting
from pullstudy.pulls.node_treatment import is_treatment
from pullstudy.pulls.streamed import Streamed

_LISTED_VALUES = 60  # characters of a differing value
_WORDS = ("first", "second")


class Weight(IntEnum):
    """The lightest last: of many differences the weightiest are shown."""

    NOT_THE_SAME_KIND = 0  # of measurement
    TREATMENT = 1
    NOT_COMPARED = 2  # part of a study
    NODES = 3
    NAMES = 4


@dataclass(frozen=True)
class Difference:
    """A sentence without its end, and how much it weighs."""

    weight: Weight
    words: str

    def __str__(self) -> str:
        return self.words


Sides = tuple[ComparedFacts, ComparedFacts]


def study_differences(sides: Sides) -> list[Difference]:
    """The weightiest first."""
    found = [
        *_simulated(sides),
        *_streamed(sides),
        *_kubelets(sides),
        *_undivided(sides),
        *_simulators(sides),
        *_environments(sides),
        *_caches(sides),
        *_unfinished(sides),
        *_repositories(sides),
    ]
    return sorted(found, key=lambda difference: difference.weight)


def _simulated(sides: Sides) -> Iterator[Difference]:
    simulated = [facts.study.simulated for facts in sides]
    if simulated[0] != simulated[1]:
        words = f"the {_WORDS[simulated.index(True)]} is simulated, the other is not"
        yield Difference(Weight.NOT_THE_SAME_KIND, words)
    elif simulated[0]:
        yield Difference(Weight.NOT_THE_SAME_KIND, "both are simulated")


def _streamed(sides: Sides) -> Iterator[Difference]:
    """A pull that streamed has mounted the image; its bytes come when they are read."""
    counts = [Counter[Streamed]() for _ in sides]
    for count, side in zip(counts, sides, strict=True):
        for each in side.compared.pulls:
            count[each.streamed] += len(each.seconds)
    told = [_streamed_words(count) for count in counts]
    if any(told):
        words = " and ".join(f"{each or 'none'} in the {word}" for each, word in zip(told, _WORDS, strict=True))
        yield Difference(Weight.NOT_THE_SAME_KIND, f"of streamed pulls not all bytes had come: {words}")


def _streamed_words(count: Counter[Streamed]) -> str:
    """Empty where all came whole."""
    total = count.total()
    streamed, unknown = count[Streamed.STREAMED], count[Streamed.UNKNOWN]
    told = [f"{streamed:,} of {total:,} pulls"] if streamed else []
    if unknown:
        told.append(f"perhaps {unknown:,} of {total:,} pulls, whose nodes stream and of which no event tells,")
    return ", ".join(told)


def _kubelets(sides: Sides) -> Iterator[Difference]:
    for word, facts in zip(_WORDS, sides, strict=True):
        old = sorted(
            {version for version in _kubelet_versions(facts) if duration_includes_waiting(version) is not False}
        )
        if old:
            words = f"kubelets of the {word} are {wording.listed(old)}: before 1.26 a duration can include waiting"
            yield Difference(Weight.NOT_THE_SAME_KIND, f"{words} for other pulls")


def _undivided(sides: Sides) -> Iterator[Difference]:
    """Where the messages of one side tell the waiting apart and those of the other do not."""
    counts = [facts.counts for facts in sides]
    if not all(count.timed for count in counts) or all(count.undivided == count.timed for count in counts):
        return
    for word, count in zip(_WORDS, counts, strict=True):
        if count.undivided:
            words = (
                f"{count.undivided:,} of {wording.plural(count.timed, 'pull')} of the {word} tell one duration alone"
            )
            why = "as kubelets before 1.26 do: it includes waiting for other pulls"
            yield Difference(Weight.NOT_THE_SAME_KIND, f"{words}, {why}")


def _kubelet_versions(facts: ComparedFacts) -> Iterator[str]:
    for row in facts.study.ledger.clusters:
        yield from filter(None, environment_of(row).get("kubelets", "").split(", "))


def _simulators(sides: Sides) -> Iterator[Difference]:
    """Profile, parameters, seed and faults, as the runs' studies have them."""
    if not all(facts.study.simulated for facts in sides):
        return
    yield from _simulated_sizes(sides)
    settings = [_sim_settings(facts) for facts in sides]
    for name in sorted(settings[0].keys() | settings[1].keys()):
        seen = [each.get(name, frozenset({"the default"})) for each in settings]
        if seen[0] != seen[1]:
            told = [wording.listed(sorted(each)) for each in seen]
            weight = Weight.NODES if name == "seed" else Weight.TREATMENT
            yield Difference(weight, f"the simulator's {name}: {told[0]} and {told[1]}")


def _simulated_sizes(sides: Sides) -> Iterator[Difference]:
    guessed = [len(guessed_images(facts.study.ledger.runs, facts.counts.images)) for facts in sides]
    if any(guessed):
        words = f"sizes of images are guessed: of {guessed[0]} in the first, of {guessed[1]} in the second"
        yield Difference(Weight.NOT_THE_SAME_KIND, words)
    first, second = (sizes_of_runs(facts.study.ledger.runs) for facts in sides)
    differing = sorted(image for image in first.keys() & second.keys() if first[image] != second[image])
    if differing:
        yield Difference(Weight.TREATMENT, f"the simulated sizes of {wording.listed(differing, at_most=2)}")


def _sim_settings(facts: ComparedFacts) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for run in facts.study.ledger.runs:
        study: Any = json.loads(run.study)
        sim = study.get("kwok" if run.provider == "kwok" else "sim") if isinstance(study, dict) else None
        for name, value in _leaves("", sim or {}):
            found.setdefault(name, set()).add(value)
    return {name: frozenset(values) for name, values in found.items() if name != "speed"}


def _leaves(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", json.dumps(value) if isinstance(value, list) else str(value)


def _environments(sides: Sides) -> Iterator[Difference]:
    environments = {
        f"{place}: {row.cluster}": environment_of(row)
        for place, facts in enumerate(sides)
        for row in facts.study.ledger.clusters
    }
    for place, word in enumerate(_WORDS):
        if not any(values for name, values in environments.items() if name.startswith(f"{place}: ")):
            words = f"the {word} has no environment saved: whether the nodes were the same is unknown"
            yield Difference(Weight.NOT_COMPARED, words)
    for name, by_cluster in differences(environments).items():
        seen = [
            {value for cluster, value in by_cluster.items() if cluster.startswith(f"{place}: ")} for place in (0, 1)
        ]
        # Clusters of one study may differ among themselves; here counts what the studies do not have in common.
        if seen[0] and seen[1] and seen[0] != seen[1]:
            shown = [wording.listed(sorted(map(_short, values)), at_most=2) for values in seen]
            weight = Weight.TREATMENT if is_treatment(name) else Weight.NODES
            yield Difference(weight, f"environments differ in {name.replace('_', ' ')}: {shown[0]} and {shown[1]}")


def _short(value: str) -> str:
    text = value or "not recorded"
    return text if len(text) <= _LISTED_VALUES else f"{text[:_LISTED_VALUES]}…"


def _caches(sides: Sides) -> Iterator[Difference]:
    states = [{each.item.cache for each in side.compared.pulls} for side in sides]
    for place, word in enumerate(_WORDS):
        alone = sorted(states[place] - states[1 - place])
        if alone:
            words = (
                f"only the {word} has pulls with cache state {wording.listed(alone)}: they are compared with nothing"
            )
            yield Difference(Weight.NOT_COMPARED, words)
    if UNKNOWN_CACHE in states[0] & states[1]:
        words = "the cache state of some pulls was not recorded: cold and warm may be mixed in them"
        yield Difference(Weight.NOT_COMPARED, words)


def _unfinished(sides: Sides) -> Iterator[Difference]:
    """What did not end well has no duration: a side with more of it looks faster than it was."""
    told: Iterable[tuple[Callable[[ComparedFacts], int], str]] = (
        (lambda facts: facts.failed_attempts, "failed attempts in the first and {1:,} in the second are in no median"),
        (lambda facts: facts.failed_jobs, "failed jobs in the first and {1:,} in the second are in no makespan"),
        (lambda facts: facts.discards, "events of the first and {1:,} of the second were discarded"),
        (_missing, "pulls of the first and {1:,} of the second are not accounted for"),
    )
    for count, words in told:
        counts = [count(facts) for facts in sides]
        if any(counts):
            yield Difference(Weight.NOT_COMPARED, f"{{0:,}} {words}".format(*counts))


def _missing(facts: ComparedFacts) -> int:
    return sum(audit.expected - audit.accounted for audit in facts.study.ledger.audits)


def _repositories(sides: Sides) -> Iterator[Difference]:
    repositories = [{parse_image(image).repository for image in side.counts.images if image} for side in sides]
    alone = [sorted(repositories[place] - repositories[1 - place]) for place in (0, 1)]
    if any(alone):
        named = [wording.listed(found, at_most=2) for found in alone]
        words = f"images of {named[0]} are only in the first, of {named[1]} only in the second"
        yield Difference(Weight.NAMES, f"{words}; images are matched by layers and bytes, or by name and tag")
