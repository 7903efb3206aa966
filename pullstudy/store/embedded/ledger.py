"""The driver's ledger: runs, clusters, job attempts, witnesses and audits, beside the records they explain.

Every change is one transaction, written before the step that it announces, so that after a kill -9 the ledger names
everything that may exist. Times of runs and clusters are the driver's own clock: book-keeping, never a measurement.
Times of jobs and pods are the API server's (``deleted_at`` by its Date header).
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from pullstudy.pulls.cache import CacheState
from pullstudy.pulls.witness import PodWitness
from pullstudy.store.embedded import schema
from pullstudy.store.embedded.rows import from_rows, time_text, to_row
from pullstudy.store.embedded.store import open_connection, store_errors
from pullstudy.store.protocol import StoreError

S = TypeVar("S", bound=msgspec.Struct)


class ClusterState(StrEnum):
    """In the order in which they come. From ``creating`` to ``deleting`` something may exist that costs money."""

    PLANNED = "planned"
    CREATING = "creating"
    UP = "up"
    DELETING = "deleting"
    DOWN = "down"


class JobState(StrEnum):
    """An attempt is over when it is ``done``, ``failed`` or ``abandoned``."""

    PLANNED = "planned"
    CREATED = "created"  # written before the call that creates it
    COMPLETE = "complete"  # by the job's own status; not yet drained and audited
    DONE = "done"  # every pull is in the store
    FAILED = "failed"
    ABANDONED = "abandoned"  # another attempt takes its place; the views leave out its pulls


ALIVE = (ClusterState.CREATING, ClusterState.UP, ClusterState.DELETING)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One pass over the sizes."""

    run: str
    provider: str
    study: str  # JSON
    seed: int | None = None
    started_at: datetime
    finished_at: datetime | None = None
    note: str | None = None  # who ran it and why, as they said it: a line each time

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple((self.note or "").splitlines())

    def noted(self, text: str | None) -> "Run":
        """With one note more, if it has not got it already."""
        line = " ".join((text or "").split())
        if not line or line in self.notes:
            return self
        return msgspec.structs.replace(self, note="\n".join((*self.notes, line)))


class ClusterRow(msgspec.Struct, frozen=True, kw_only=True):
    """One cluster size of a run."""

    cluster: str
    run: str
    size: int  # nodes
    state: ClusterState = ClusterState.PLANNED
    environment: str | None = None  # JSON
    created_at: datetime | None = None
    up_at: datetime | None = None
    down_at: datetime | None = None
    handle: str | None = None  # JSON, the provider's own

    @property
    def alive(self) -> bool:
        return self.state in ALIVE


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of one image at one size."""

    job: str
    cluster: str
    run: str
    size: int
    image: str
    repeat: int
    attempt: int
    position: int
    cache_mode: str
    state: JobState = JobState.PLANNED
    job_uid: str | None = None
    created_at: datetime | None = None
    completed_at: datetime | None = None
    deleted_at: datetime | None = None
    error: str | None = None
    hold_seconds: float = 0.0  # its containers were kept for so long after their start, so that none shares a node


class PodLives(msgspec.Struct, frozen=True, kw_only=True):
    """The shortest times of pods from being scheduled, by their status: to the second."""

    until_started_seconds: float
    until_finished_seconds: float


class NodeCache(msgspec.Struct, frozen=True, kw_only=True):
    """What one node held before a job."""

    cluster: str
    job: str
    node: str
    cache: CacheState


class ForetoldPulls(msgspec.Struct, frozen=True, kw_only=True):
    """What a model said of a job's pulls before it was run: their median, and within which bounds nine of ten are."""

    cluster: str
    job: str
    model: str
    median_seconds: float
    low_seconds: float
    high_seconds: float


IMPORTED = "import"  # as a run's provider: its records are from logs of clusters that others made


class NodeSource(StrEnum):
    """Who told of a node."""

    LIST = "list"  # the API, by the node itself
    EVENTS = "events"  # an exporter, by the labels that it wrote beside an event


class NodeRow(msgspec.Struct, frozen=True, kw_only=True):
    """One node of a cluster; what is not told is None."""

    cluster: str
    node: str
    source: NodeSource
    instance_type: str | None = None
    region: str | None = None
    zone: str | None = None
    machine_image: str | None = None
    kubelet: str | None = None
    runtime: str | None = None
    kernel: str | None = None
    os_image: str | None = None
    architecture: str | None = None
    cpus: str | None = None  # capacity, as Kubernetes writes quantities
    memory: str | None = None
    disk: str | None = None
    labels: str = "{}"  # JSON
    taints: str = "[]"  # JSON: key=value:effect


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """Expected pulls of a job against what each witness accounts for, in containers."""

    cluster: str
    job: str
    expected: int
    events: int
    pod_status: int
    spooled: int | None = None
    stored: int
    recovered: int

    @property
    def accounted(self) -> int:
        return self.stored + self.recovered


class Ledger:
    """The driver's tables of one study's file. Every method raises StoreError."""

    def __init__(self, directory: Path, *, create: bool) -> None:
        """Without ``create`` to read only. Raises NotAStudyError where the directory then holds no study."""
        self.path = directory / schema.FILE_NAME
        self._connection = open_connection(directory, create=create)

    def begin(self, run: Run, clusters: Iterable[ClusterRow]) -> None:
        """Write the run as it is from now on, and these of its clusters as planned, in one transaction."""
        with store_errors(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._put("runs", [run])
                self._put("clusters", clusters)
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise

    def swept_run(self) -> Run | None:
        """The run that a sweep began in this directory, if one did; imports are no sweeps."""
        found = self._all(Run, f"SELECT * FROM runs WHERE provider <> '{IMPORTED}' ORDER BY started_at")
        return found[-1] if found else None

    def put_run(self, run: Run) -> None:
        """Write the run as it is from now on."""
        self._upsert("runs", run, ("run",))

    def runs(self) -> list[Run]:
        """All, in the order in which they began."""
        return self._all(Run, "SELECT * FROM runs ORDER BY started_at, run")

    def finish_run(self, run: str, at: datetime) -> None:
        self._change("UPDATE runs SET finished_at = ?2 WHERE run = ?1", run, time_text(at))

    def clusters(self, run: str) -> list[ClusterRow]:
        """In the order in which they were planned."""
        return self._all(ClusterRow, "SELECT * FROM clusters WHERE run = ?1 ORDER BY rowid", run)

    def put_cluster(self, row: ClusterRow) -> None:
        """Write the cluster as it is from now on."""
        self._upsert("clusters", row, ("cluster",))

    def jobs(self, run: str) -> list[JobRow]:
        """All attempts, in the order of the run."""
        return self._all(JobRow, "SELECT * FROM jobs WHERE run = ?1 ORDER BY position, attempt", run)

    def put_job(self, row: JobRow) -> None:
        """Write the attempt as it is from now on."""
        self._upsert("jobs", row, ("cluster", "job"))

    def put_nodes(self, rows: Iterable[NodeRow]) -> None:
        """Write nodes as they are from now on. Those that events told of change none that was listed."""
        kept = list(rows)
        self._put_all("nodes", (row for row in kept if row.source is NodeSource.LIST))
        self._put_all("nodes", (row for row in kept if row.source is not NodeSource.LIST), "INSERT OR IGNORE")

    def nodes(self, cluster: str) -> Iterator[NodeRow]:
        """By name: those that were listed or, where none was, those that events told of."""
        sql = """SELECT * FROM nodes WHERE cluster = ?1 AND source =
            (SELECT source FROM nodes WHERE cluster = ?1 ORDER BY source = 'list' DESC LIMIT 1) ORDER BY node"""
        with store_errors(self.path):
            yield from from_rows(NodeRow, self._connection.execute(sql, (cluster,)))

    def put_node_caches(self, rows: Iterable[NodeCache]) -> None:
        self._put_all("job_nodes", rows)

    def forget_node_caches(self, cluster: str) -> None:
        """What the cluster's nodes held before its jobs is not known."""
        self._change("DELETE FROM job_nodes WHERE cluster = ?1", cluster)

    def put_foretold(self, row: ForetoldPulls) -> None:
        self._put_all("foretold", [row])

    def foretold(self, run: str) -> list[ForetoldPulls]:
        """Of the attempts that count, in the order of the run."""
        return self._all(
            ForetoldPulls,
            "SELECT f.* FROM foretold f JOIN jobs j ON j.cluster = f.cluster AND j.job = f.job"
            " WHERE j.run = ?1 AND j.state <> 'abandoned' ORDER BY j.position",
            run,
        )

    def put_pod_witnesses(self, rows: Iterable[PodWitness]) -> None:
        self._put_all("job_pods", rows)

    def put_audit(self, row: Audit) -> None:
        self._put_all("audits", [row])

    def audits(self, run: str) -> list[Audit]:
        """Those of the attempts that count, in the order of the run."""
        return self._all(
            Audit,
            "SELECT a.* FROM audits a JOIN jobs j ON j.cluster = a.cluster AND j.job = a.job"
            " WHERE j.run = ?1 AND j.state <> 'abandoned' ORDER BY j.position",
            run,
        )

    def pod_lives(self, run: str, image: str) -> PodLives | None:
        """Of the pods of jobs of the image that are done; None where there is none."""
        sql = """SELECT min(julianday(p.started_at) - julianday(p.scheduled_at)) * 86400 AS until_started_seconds,
            min(julianday(p.finished_at) - julianday(p.scheduled_at)) * 86400 AS until_finished_seconds
            FROM job_pods p JOIN jobs j ON j.cluster = p.cluster AND j.job = p.job
            WHERE j.run = ?1 AND j.image = ?2 AND j.state = 'done'"""
        ((started, finished),) = self._rows(sql, run, image)
        if started is None or finished is None:
            return None
        return PodLives(until_started_seconds=started, until_finished_seconds=finished)

    def layer_digests(self, repository: str, tag: str) -> frozenset[str]:
        """The layers of an image, as far as its manifest is known; empty where it is not."""
        sql = "SELECT digest FROM layers WHERE repository = ?1 AND tag = ?2"
        return frozenset(digest for (digest,) in self._rows(sql, repository, tag))

    def close(self) -> None:
        self._connection.close()

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with store_errors(self.path):
            return self._connection.execute(sql, values).fetchall()

    def _all(self, struct: type[S], sql: str, *values: object) -> list[S]:
        try:
            with store_errors(self.path):
                return list(from_rows(struct, self._connection.execute(sql, values)))
        except msgspec.ValidationError as error:
            raise StoreError(f"{self.path}: a row of the ledger cannot be read ({error})") from error

    def _change(self, sql: str, *values: object) -> None:
        # Autocommit: a single statement is its own transaction, on disk when execute() returns.
        with store_errors(self.path):
            self._connection.execute(sql, values)

    def _upsert(self, table: str, row: msgspec.Struct, key: tuple[str, ...]) -> None:
        fields = row.__struct_fields__
        changes = ", ".join(f"{name} = excluded.{name}" for name in fields if name not in key)
        self._change(
            f"INSERT INTO {table} ({', '.join(fields)}) VALUES ({_marks(fields)})"
            f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}",
            *to_row(row),
        )

    def _put_all(self, table: str, rows: Iterable[msgspec.Struct], verb: str = "INSERT OR REPLACE") -> None:
        with store_errors(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._put(table, rows, verb)
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise

    def _put(self, table: str, rows: Iterable[msgspec.Struct], verb: str = "INSERT OR REPLACE") -> None:
        kept = list(rows)
        if kept:
            fields = kept[0].__struct_fields__
            self._connection.executemany(
                f"{verb} INTO {table} ({', '.join(fields)}) VALUES ({_marks(fields)})",
                map(to_row, kept),
            )


def _marks(fields: tuple[str, ...]) -> str:
    return ", ".join("?" * len(fields))
