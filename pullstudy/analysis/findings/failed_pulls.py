"""Pulls that failed, and the kubelets' waiting between attempts, counted by cause and by what was said."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from pullstudy.pulls.failure import FailureClass, classify
from pullstudy.pulls.record import Outcome, PullRecord

Event = tuple[str, str]  # cluster and uid
MOST_TEXTS = 2_000  # texts that are told apart: some have a pod's or a layer's name in them


@dataclass
class SaidText:
    """How often a text was said, and by how many nodes."""

    attempts: int = 0
    nodes: set[str | None] = field(default_factory=set)


class FailedPulls:
    """Gathered from newly_counted(): an event that was repeated counts as often as its count."""

    def __init__(self) -> None:
        self.attempts = 0
        self.attempts_of_jobs = 0
        self.backed_off = 0
        self.by_class: Counter[tuple[FailureClass, str]] = Counter()  # attempts, by cluster too
        self.texts: dict[tuple[FailureClass, str], SaidText] = {}

    def add(self, pull: PullRecord) -> None:
        if pull.outcome is Outcome.BACKOFF:
            self.backed_off += pull.count
            return
        kind = classify(pull.error)
        self.attempts += pull.count
        self.attempts_of_jobs += pull.count if pull.job is not None else 0
        self.by_class[kind, pull.cluster] += pull.count
        self._add_text((kind, pull.error or "no text"), pull)

    def _add_text(self, key: tuple[FailureClass, str], pull: PullRecord) -> None:
        if key not in self.texts and len(self.texts) >= MOST_TEXTS:
            return
        said = self.texts.setdefault(key, SaidText())
        said.attempts += pull.count
        said.nodes.add(pull.node)


def newly_counted(pulls: Iterable[PullRecord], counts: dict[Event, int]) -> Iterator[PullRecord]:
    """Those that failed or backed off, with what each adds to the count of its event, which includes all before it.

    ``counts`` has what was counted of each event already.
    """
    for pull in pulls:
        if pull.outcome in (Outcome.FAILED, Outcome.BACKOFF):
            event = (pull.cluster, pull.event_uid)
            more = pull.count - counts.get(event, 0)
            if more > 0:
                counts[event] = pull.count
                yield msgspec.structs.replace(pull, count=more)
