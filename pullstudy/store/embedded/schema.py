"""The layout of the embedded store, in one place: record tables from the table of kinds, the driver's beside them.

What is only added (a kind, a table, a column that may be unknown) raises no version: an older pullstudy reads and
writes such a file by name, and a newer one adds to an older file what it lacks, when it opens it to write.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import cache
from sqlite3 import Connection, complete_statement, connect
from typing import Any, NamedTuple

from pullstudy.pulls.columns import Column
from pullstudy.pulls.kind import Kind
from pullstudy.pulls.record import WITNESS_PREFIX

VERSION = 4  # PRAGMA user_version; a file of a version that is neither this nor in UPGRADES is refused, never changed
FILE_NAME = "study.sqlite3"

# The record tables of layout 4 as they were when it came, which later kinds and columns are added to.
_PULLS_4 = """cluster TEXT NOT NULL, run TEXT, size INTEGER, node TEXT, namespace TEXT, job TEXT, pod TEXT,
  pod_uid TEXT, container TEXT, image TEXT, repository TEXT, tag TEXT, digest TEXT, outcome TEXT NOT NULL,
  started_at TEXT, finished_at TEXT, pull_seconds REAL, waiting_seconds REAL, image_bytes INTEGER, error TEXT,
  count INTEGER NOT NULL, event_uid TEXT NOT NULL"""
_MILESTONES_4 = """cluster TEXT NOT NULL, run TEXT, size INTEGER, node TEXT, namespace TEXT, job TEXT, pod TEXT,
  pod_uid TEXT, container TEXT, moment TEXT NOT NULL, at TEXT NOT NULL, resolution_seconds REAL NOT NULL,
  witness TEXT NOT NULL, clock TEXT NOT NULL, count INTEGER NOT NULL, event_uid TEXT NOT NULL"""


def _made_anew(table: str, columns: str, key: str) -> tuple[str, ...]:
    """SQLite changes no primary key: another table takes the rows."""
    names = ", ".join(column.split()[0] for column in columns.split(","))
    return (
        f"ALTER TABLE {table} RENAME TO {table}_before",
        f"CREATE TABLE {table} ({columns}, PRIMARY KEY ({key}))",
        f"INSERT INTO {table} ({names}) SELECT {names} FROM {table}_before",
        f"DROP TABLE {table}_before",
    )


UPGRADES: dict[int, tuple[str, ...]] = {  # what makes tables of that version those of the next; views are made anew
    1: ("ALTER TABLE rejects ADD COLUMN at TEXT",),
    2: ("ALTER TABLE jobs ADD COLUMN hold_seconds REAL NOT NULL DEFAULT 0",),
    3: (  # the cluster became a part of the key
        *_made_anew("pull_records", _PULLS_4, "cluster, event_uid, count"),
        *_made_anew("milestone_records", _MILESTONES_4, "cluster, event_uid, count, moment"),
    ),
}

# What the driver writes. Times are ISO 8601 in UTC, JSON is JSON.
LEDGER_TABLES = """
CREATE TABLE runs (                 -- one row a pass over the sizes
  run TEXT PRIMARY KEY,
  provider TEXT NOT NULL,           -- sim, kubeconfig, kwok, eks, or import
  study TEXT NOT NULL,              -- the study as it was run, JSON
  seed INTEGER,                     -- of the order of the jobs
  started_at TEXT NOT NULL,
  finished_at TEXT,
  note TEXT                         -- who ran it and why, as they said it, a line each time
);
CREATE TABLE clusters (             -- one row a cluster size of a run
  cluster TEXT PRIMARY KEY,
  run TEXT NOT NULL,
  size INTEGER NOT NULL,
  state TEXT NOT NULL,              -- planned, creating, up, deleting, down
  environment TEXT,                 -- kubelet, runtime, kernel, instance type, zone, configz of the nodes, JSON
  created_at TEXT, up_at TEXT, down_at TEXT,
  handle TEXT                       -- what the provider needs to take it down, JSON
);
CREATE TABLE jobs (                 -- one row an attempt of one image at one size
  job TEXT NOT NULL,
  cluster TEXT NOT NULL,
  run TEXT NOT NULL,
  size INTEGER NOT NULL,
  image TEXT NOT NULL,
  repeat INTEGER NOT NULL,          -- from 1
  attempt INTEGER NOT NULL,         -- from 1; the earlier ones are abandoned
  position INTEGER NOT NULL,        -- in the order of the run, from 0
  cache_mode TEXT NOT NULL,         -- cold or warm: what the study asked for
  state TEXT NOT NULL,              -- planned, created, complete, failed, done, abandoned
  job_uid TEXT,
  created_at TEXT, completed_at TEXT, deleted_at TEXT,
  error TEXT,
  hold_seconds REAL NOT NULL DEFAULT 0, -- its containers were kept for so long after their start
  PRIMARY KEY (cluster, job)
);
CREATE TABLE job_nodes (            -- one row a node of a job: what its cache held before
  cluster TEXT NOT NULL, job TEXT NOT NULL, node TEXT NOT NULL,
  cache TEXT NOT NULL,              -- cold, partial or warm
  PRIMARY KEY (cluster, job, node)
);
CREATE TABLE job_pods (             -- one row a container: pods' own status, read before the job is deleted
  cluster TEXT NOT NULL, job TEXT NOT NULL, pod TEXT NOT NULL, pod_uid TEXT NOT NULL,
  container TEXT NOT NULL, node TEXT, image TEXT, image_id TEXT, phase TEXT,
  created_at TEXT, scheduled_at TEXT, started_at TEXT, finished_at TEXT,
  waiting_reason TEXT, waiting_message TEXT, exit_code INTEGER,
  job_uid TEXT, owner TEXT,         -- of the pod: its job's uid, its controller as Kind/name
  PRIMARY KEY (pod_uid, container)
);
CREATE TABLE foretold (             -- one row a job: what a model said of its pulls before it was run
  cluster TEXT NOT NULL, job TEXT NOT NULL,
  model TEXT NOT NULL,              -- which, in words
  median_seconds REAL NOT NULL,     -- of its pulls
  low_seconds REAL NOT NULL, high_seconds REAL NOT NULL, -- nine of ten pulls are between them
  PRIMARY KEY (cluster, job)
);
CREATE TABLE audits (               -- one row a job: expected pulls against each witness
  cluster TEXT NOT NULL, job TEXT NOT NULL,
  expected INTEGER NOT NULL,        -- pods x containers
  events INTEGER NOT NULL,          -- accounted for by an event that the API server still had
  pod_status INTEGER NOT NULL,      -- by the pods' own status
  spooled INTEGER,                  -- by the collector's spool or bus; NULL where there is none beside the store
  stored INTEGER NOT NULL,          -- by an event's record in the store
  recovered INTEGER NOT NULL,       -- in the store from pod status alone
  PRIMARY KEY (cluster, job)
);
CREATE TABLE nodes (                -- one row a node of a cluster
  cluster TEXT NOT NULL, node TEXT NOT NULL,
  source TEXT NOT NULL,             -- list: the node itself; events: the labels that events gave with it
  instance_type TEXT, region TEXT, zone TEXT, machine_image TEXT,
  kubelet TEXT, runtime TEXT, kernel TEXT, os_image TEXT, architecture TEXT,
  cpus TEXT, memory TEXT, disk TEXT, -- capacity, as Kubernetes writes quantities
  labels TEXT NOT NULL,             -- JSON, to 8 KiB
  taints TEXT NOT NULL,             -- JSON: key=value:effect
  PRIMARY KEY (cluster, node)
);
CREATE TABLE layers (               -- one row a layer of an image's manifest
  repository TEXT NOT NULL, tag TEXT NOT NULL, position INTEGER NOT NULL,
  digest TEXT NOT NULL, layer_bytes INTEGER NOT NULL, media_type TEXT,
  platform TEXT, os TEXT, arch TEXT, schema_version INTEGER,
  PRIMARY KEY (repository, tag, position)
);
"""

# Pod status tells that an image is there, and only guesses whether it was pulled: either event tells it better.
PRESENT = "('pulled', 'cached')"
TOLD_ONCE = f"""
  AND NOT (r.event_uid LIKE '{WITNESS_PREFIX}%' AND EXISTS (
    SELECT 1 FROM pull_records e WHERE e.pod_uid = r.pod_uid AND e.container = r.container AND e.cluster = r.cluster
      AND (e.outcome = r.outcome OR (e.outcome IN {PRESENT} AND r.outcome IN {PRESENT}))
      AND e.event_uid NOT LIKE '{WITNESS_PREFIX}%'))"""


def create_statements(kinds: Iterable[Kind[Any]]) -> Iterator[str]:
    """All of the layout."""
    kinds = tuple(kinds)
    yield from map(_table, kinds)
    yield from _statements(LEDGER_TABLES)
    yield from views_and_indexes(kinds)
    yield f"PRAGMA user_version = {VERSION}"


def _statements(script: str) -> Iterator[str]:
    # executescript() would commit first, and the layout has to appear whole or not at all.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if complete_statement(statement):
            yield statement
            statement = ""


def additions(connection: Connection, kinds: Iterable[Kind[Any]]) -> list[str]:
    """What a file of this version lacks, since it was made before a kind, a table or a column was."""
    statements = []
    for table, made in (*_record_tables(kinds), *_ledger_tables()):
        there = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        if not there:
            statements.append(made.statement)
        else:
            missing = (column for name, column in made.columns.items() if name not in there)
            statements += [f"ALTER TABLE {table} ADD COLUMN {column}" for column in missing]
    return statements


def stand_ins(connection: Connection, kinds: Iterable[Kind[Any]]) -> Iterator[str]:
    """Temporary tables and views for what a file lacks that is read and may not be changed, by the names that are read.

    What the file has no place for, it has none of. The views are this version's, whichever the file has.
    """
    kinds = tuple(kinds)
    for name, made in (*_record_tables(kinds), *_ledger_tables()):
        there = {row[1] for row in connection.execute(f"PRAGMA main.table_info({name})")}
        missing = [declared for column, declared in made.columns.items() if column not in there]
        if not there:
            yield _TABLE.sub(f"CREATE TEMP TABLE {name} ", made.statement, count=1)
        elif missing:
            unknown = ", ".join(map(_filled, missing))
            yield f"CREATE TEMP VIEW {name} AS SELECT *, {unknown} FROM main.{name}"
    for kind in kinds:
        if kind.of_job:
            yield _view(kind, "TEMP VIEW")


def _filled(declared: str) -> str:
    """What a column that a file lacks has in every row."""
    return f"{declared.partition(' DEFAULT ')[2] or 'NULL'} AS {declared.split()[0]}"


_TABLE = re.compile(r"CREATE TABLE \w+ ")


class _Made(NamedTuple):
    """How a table is made, whole or a column more."""

    statement: str
    columns: dict[str, str]


def _record_tables(kinds: Iterable[Kind[Any]]) -> Iterator[tuple[str, _Made]]:
    for kind in kinds:
        yield kind.table, _Made(_table(kind), _columns(kind))


def _columns(kind: Kind[Any]) -> dict[str, str]:
    return {column.name: _column(column) for column in kind.columns}


@cache
def _ledger_tables() -> tuple[tuple[str, _Made], ...]:
    """As SQLite itself reads the statements."""
    statements = [statement.strip() for statement in _statements(LEDGER_TABLES)]
    with closing(connect(":memory:")) as model:
        for statement in statements:
            model.execute(statement)
        names = [
            name for (name,) in model.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid")
        ]
        columns = [model.execute(f"PRAGMA table_info({name})").fetchall() for name in names]
    return tuple(
        (name, _Made(statement, {row[1]: _declared(*row[1:5]) for row in rows}))
        for name, statement, rows in zip(names, statements, columns, strict=True)
    )


def _declared(name: str, affinity: str, not_null: int, default: str | None) -> str:
    filled = f" DEFAULT {default}" if default is not None else ""
    return f"{name} {affinity}{' NOT NULL' if not_null else ''}{filled}"


def views_and_indexes(kinds: Iterable[Kind[Any]]) -> Iterator[str]:
    """What holds no rows of its own, and is made anew where a table changes; what there is stays."""
    for kind in kinds:
        if kind.of_job:
            yield _view(kind)
            yield f"CREATE INDEX IF NOT EXISTS {kind.table}_by_job ON {kind.table} (cluster, job)"
    yield "CREATE INDEX IF NOT EXISTS pull_records_by_pod ON pull_records (pod_uid, container)"
    yield "CREATE INDEX IF NOT EXISTS jobs_by_name ON jobs (job)"


# On an existing cluster the events of one size are still there at the next one, whose collector meets them again.
_OF_ANOTHER_SIZE = """AND (
    NOT EXISTS (SELECT 1 FROM jobs j JOIN clusters c ON c.run = j.run WHERE j.job = r.job AND c.cluster = r.cluster)
    OR EXISTS (SELECT 1 FROM jobs j WHERE j.cluster = r.cluster AND j.job = r.job))"""


def _view(kind: Kind[Any], view: str = "VIEW") -> str:
    return f"""CREATE {view} {kind.plural} AS SELECT r.* FROM {kind.table} r
  WHERE NOT EXISTS (
    SELECT 1 FROM jobs j WHERE j.cluster = r.cluster AND j.job = r.job AND j.state = 'abandoned')
  {_OF_ANOTHER_SIZE}""" + (TOLD_ONCE if kind.main else "")


def _table(kind: Kind[Any]) -> str:
    columns = "".join(f"  {_column(column)},\n" for column in kind.columns)
    # Uids are random: rows kept in their order would have each new one rewrite a page of wide rows somewhere, at a
    # third of the speed. Where the key is nearly the whole row, the other form would keep it twice.
    form = " WITHOUT ROWID" if len(kind.identity) >= len(kind.columns) - 1 else ""
    return f"CREATE TABLE {kind.table} (\n{columns}  PRIMARY KEY ({', '.join(kind.identity)})\n){form}"


def _column(column: Column) -> str:
    return f"{column.name} {_affinity(column.type)}{'' if column.optional else ' NOT NULL'}"


def _affinity(of: type) -> str:
    if of is float:
        return "REAL"
    return "INTEGER" if of in (int, bool) else "TEXT"  # times are ISO 8601 in UTC: they sort as text
