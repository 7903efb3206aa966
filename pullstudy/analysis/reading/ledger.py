"""The driver's tables of a study: abandoned attempts of jobs are left out.

What there is of every pod and node of every job is read in the order of the jobs, and never held together.
"""

import sqlite3
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from pullstudy.pulls.record import PullRecord
from pullstudy.pulls.witness import PodWitness
from pullstudy.store.embedded.ledger import Audit, ClusterRow, ForetoldPulls, JobRow, NodeCache, NodeRow, Run
from pullstudy.store.embedded.rows import from_rows
from pullstudy.store.selection import ALL, Selection

S = TypeVar("S", bound=msgspec.Struct)


class NodePlace(msgspec.Struct, frozen=True, kw_only=True):
    """What a node is and where, as far as that is known."""

    cluster: str
    node: str
    instance_type: str | None = None
    zone: str | None = None


class LedgerTables(msgspec.Struct, frozen=True):
    """Runs and clusters in the order of their sizes, jobs in the order of the run."""

    runs: tuple[Run, ...] = ()
    clusters: tuple[ClusterRow, ...] = ()
    jobs: tuple[JobRow, ...] = ()
    audits: tuple[Audit, ...] = ()
    nodes: tuple[NodePlace, ...] = ()
    foretold: tuple[ForetoldPulls, ...] = ()


# Jobs of imported logs have no row: what an import was told of their nodes counts too.
_OF_LIVE_JOBS = (
    "WHERE NOT EXISTS (SELECT 1 FROM jobs j WHERE j.cluster = t.cluster AND j.job = t.job AND j.state = 'abandoned')"
)
_BY_JOB = " ORDER BY cluster, job"


def read_ledger(connection: sqlite3.Connection) -> LedgerTables:
    """Of an open study."""
    return LedgerTables(
        runs=tuple(_rows(connection, Run, "runs", "ORDER BY started_at, run")),
        clusters=tuple(_rows(connection, ClusterRow, "clusters", "ORDER BY run, size, cluster")),
        jobs=tuple(_rows(connection, JobRow, "jobs", "WHERE state <> 'abandoned' ORDER BY cluster, position")),
        audits=tuple(_rows(connection, Audit, "audits", _OF_LIVE_JOBS)),
        nodes=tuple(_rows(connection, NodePlace, "nodes", "ORDER BY cluster, node")),
        foretold=tuple(_rows(connection, ForetoldPulls, "foretold", _OF_LIVE_JOBS)),
    )


def node_caches(connection: sqlite3.Connection) -> Iterator[NodeCache]:
    """What nodes held before each job, in order of cluster and job."""
    return _rows(connection, NodeCache, "job_nodes", _OF_LIVE_JOBS + _BY_JOB)


def cache_before(connection: sqlite3.Connection, pull: PullRecord) -> str | None:
    """``cold``, ``partial`` or ``warm``: what the pull's node held before its job; None where nobody looked."""
    where = (pull.cluster, pull.job, pull.node)
    found = connection.execute("SELECT cache FROM job_nodes WHERE (cluster, job, node) = (?, ?, ?)", where).fetchone()
    return str(found[0]) if found else None


def nodes(connection: sqlite3.Connection) -> Iterator[NodeRow]:
    """Of all clusters; one that events alone told of has its labels."""
    return _rows(connection, NodeRow, "nodes", "ORDER BY cluster, node")


def pod_witnesses(connection: sqlite3.Connection) -> Iterator[PodWitness]:
    """What the pods' own status said at each job's end, in order of cluster and job."""
    return _rows(connection, PodWitness, "job_pods", _OF_LIVE_JOBS + _BY_JOB)


def _rows(connection: sqlite3.Connection, struct: type[S], table: str, rest: str) -> Iterator[S]:
    names = ", ".join(struct.__struct_fields__)
    return from_rows(struct, connection.execute(f"SELECT {names} FROM {table} t {rest}"))


def of_selection(ledger: LedgerTables, selection: Selection) -> LedgerTables:
    """The rows of the selected runs and clusters."""
    if selection == ALL:
        return ledger
    runs = tuple(row for row in ledger.runs if not selection.runs or row.run in selection.runs)
    names = {row.run for row in runs}
    clusters = tuple(
        row
        for row in ledger.clusters
        if row.run in names and (not selection.clusters or row.cluster in selection.clusters)
    )
    kept = {row.cluster for row in clusters}
    return LedgerTables(
        runs=runs,
        clusters=clusters,
        jobs=tuple(row for row in ledger.jobs if row.cluster in kept),
        audits=tuple(row for row in ledger.audits if row.cluster in kept),
        nodes=tuple(row for row in ledger.nodes if row.cluster in kept),
        foretold=tuple(row for row in ledger.foretold if row.cluster in kept),
    )
