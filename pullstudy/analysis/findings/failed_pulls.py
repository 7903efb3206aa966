"""Pulls that failed, and the kubelets' waiting between attempts, counted by cause and by what was said."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from pullstudy.pulls.failure import FailureClass, classify
from pullstudy.pulls.record import Outcome, PullRecord

MOST_TEXTS = 2_000  # texts that are told apart: some have a pod's or a layer's name in them


@dataclass
class SaidText:
    """How often a text was said, and by how many nodes."""

    attempts: int = 0
    nodes: set[str | None] = field(default_factory=set)


class FailedPulls:
    """Gathered from the last state of each event: an event that was repeated counts as often as its count."""

    def __init__(self) -> None:
        self.attempts = 0
        self.attempts_of_jobs = 0
        self.backed_off = 0
        self.by_class: Counter[tuple[FailureClass, str]] = Counter()  # attempts, by cluster too
        self.texts: dict[tuple[FailureClass, str], SaidText] = {}
        self.other_texts = 0  # attempts with texts beyond MOST_TEXTS

    def add(self, state: PullRecord) -> None:
        if state.outcome is Outcome.BACKOFF:
            self.backed_off += state.count
            return
        kind = classify(state.error)
        self.attempts += state.count
        self.attempts_of_jobs += state.count if state.job is not None else 0
        self.by_class[kind, state.cluster] += state.count
        self._add_text((kind, state.error or "no text"), state)

    def _add_text(self, key: tuple[FailureClass, str], state: PullRecord) -> None:
        if key not in self.texts and len(self.texts) >= MOST_TEXTS:
            self.other_texts += state.count
            return
        said = self.texts.setdefault(key, SaidText())
        said.attempts += state.count
        said.nodes.add(state.node)


def went_wrong(pull: PullRecord) -> bool:
    return pull.outcome in (Outcome.FAILED, Outcome.BACKOFF)


def latest_states(records: Iterable[PullRecord]) -> list[PullRecord]:
    """Of each event the record with the highest count, which includes the earlier ones."""
    last: dict[str, PullRecord] = {}
    for record in records:
        known = last.get(record.event_uid)
        if known is None or record.count > known.count:
            last[record.event_uid] = record
    return list(last.values())
