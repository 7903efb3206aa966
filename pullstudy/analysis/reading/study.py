"""A study, read whole: its records, its ledger and its layers."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pullstudy.analysis.reading.joined_records import opened
from pullstudy.analysis.reading.layers import Layer, read_layers
from pullstudy.analysis.reading.ledger import LedgerTables, of_selection, read_ledger
from pullstudy.analysis.reading.source import StudySource, as_source
from pullstudy.pulls.batch import Gap, Reject
from pullstudy.pulls.milestone import Milestone
from pullstudy.pulls.record import PullRecord
from pullstudy.store.embedded.ledger import ClusterRow
from pullstudy.store.embedded.store import open_connection, store_errors

SIMULATED_PREFIXES = ("sim-", "kwok-")  # kwok's nodes pull nothing: their times are the simulator's


@dataclass(frozen=True)
class StudyData:
    """What is known, in the order of the store. ``pulls`` holds those of the study's jobs, ``other_pulls`` the rest."""

    name: str
    pulls: tuple[PullRecord, ...] = ()
    other_pulls: tuple[PullRecord, ...] = ()
    milestones: tuple[Milestone, ...] = ()
    ledger: LedgerTables = field(default_factory=LedgerTables)
    layers: tuple[Layer, ...] = ()
    gaps: tuple[Gap, ...] = ()
    rejects: tuple[Reject, ...] = ()

    @property
    def clusters(self) -> tuple[str, ...]:
        names = [row.cluster for row in self.ledger.clusters]
        return tuple(dict.fromkeys([*names, *(record.cluster for record in self.pulls)]))

    @property
    def simulated(self) -> bool:
        """Whether any of it came from the simulator: every picture says so."""
        return any(map(self.is_simulated, self.clusters))

    def is_simulated(self, cluster: str) -> bool:
        """By its name; or by what was saved of it, where a simulator stood behind a cluster that was really made."""
        rows = (row for row in self.ledger.clusters if row.cluster == cluster)
        return cluster.startswith(SIMULATED_PREFIXES) or any(map(said_simulated, rows))


def said_simulated(row: ClusterRow) -> bool:
    """Whether its provider found the simulator in its place."""
    saved = json.loads(row.environment) if row.environment else {}
    return bool(saved.get("provider", {}).get("simulated"))


def read_study(where: Path | StudySource) -> StudyData:
    """Raises NotAStudyError, StoreError."""
    source = as_source(where)
    with opened(source) as store:
        records = list(store.pulls())
        milestones = tuple(milestone for milestone in store.milestones() if milestone.job is not None)
        gaps, rejects = tuple(store.gaps()), tuple(store.rejects())
    directory = source.directory
    return StudyData(
        name=source.name,
        pulls=tuple(record for record in records if record.job is not None),
        other_pulls=tuple(record for record in records if record.job is None),
        milestones=milestones,
        ledger=of_selection(_ledger(directory), source.ledger) if directory else LedgerTables(),
        layers=tuple(read_layers(directory)) if directory else (),
        gaps=gaps,
        rejects=rejects,
    )


def latest_states(records: Iterable[PullRecord]) -> list[PullRecord]:
    """Of each event the record with the highest count, which includes the earlier ones."""
    last: dict[str, PullRecord] = {}
    for record in records:
        known = last.get(record.event_uid)
        if known is None or record.count > known.count:
            last[record.event_uid] = record
    return list(last.values())


def _ledger(directory: Path) -> LedgerTables:
    connection = open_connection(directory, create=False)
    try:
        with store_errors(directory):
            return read_ledger(connection)
    finally:
        connection.close()
