"""Records of pods of no job, a pod at a time.

They are sorted in a temporary file, since a fleet's do not fit into memory.
"""

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path

import msgspec

from pullstudy.analysis.reading.job_records import JobRecords
from pullstudy.pulls.milestone import Milestone
from pullstudy.pulls.record import PullRecord
from pullstudy.store.embedded.store import store_errors

_TABLE = "CREATE TABLE records (cluster, namespace, pod, of_pull, record)"
# By rowid: the order in which they came, which is that of time.
_SORTED = "SELECT cluster, namespace, pod, of_pull, record FROM records ORDER BY cluster, namespace, pod, rowid"


def by_pod(pulls: Iterable[PullRecord], milestones: Iterable[Milestone]) -> Iterator[JobRecords]:
    """One group a cluster, namespace and pod's name, with ``job`` empty. Records that name no pod are left out.

    Raises StoreError.
    """
    with (
        tempfile.TemporaryDirectory(prefix="pullstudy-") as directory,
        closing(sqlite3.connect(Path(directory) / "pods.sqlite3")) as file,
        store_errors(Path(directory)),
    ):
        file.execute("PRAGMA journal_mode = OFF")
        file.execute(_TABLE)
        for records, of_pull in ((pulls, True), (milestones, False)):
            file.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?)", _rows(records, of_pull))
        rows = file.execute(_SORTED)
        for (cluster, _, _), found in groupby(rows, key=lambda row: row[:3]):
            yield _group(cluster, (row[3:] for row in found))


def _rows(records: Iterable[PullRecord | Milestone], of_pull: bool) -> Iterator[tuple[str, str, str, bool, bytes]]:
    encoder = msgspec.msgpack.Encoder()
    for record in records:
        if record.pod is not None:
            yield record.cluster, record.namespace or "", record.pod, of_pull, encoder.encode(record)


def _group(cluster: str, found: Iterable[tuple[bool, bytes]]) -> JobRecords:
    pulls: list[PullRecord] = []
    milestones: list[Milestone] = []
    for of_pull, record in found:
        if of_pull:
            pulls.append(msgspec.msgpack.decode(record, type=PullRecord))
        else:
            milestones.append(msgspec.msgpack.decode(record, type=Milestone))
    return JobRecords(cluster=cluster, job="", pulls=tuple(pulls), milestones=tuple(milestones))
