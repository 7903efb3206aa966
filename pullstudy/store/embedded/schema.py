"""The layout of the embedded store, in one place: docs/store.md is written from it."""

from types import UnionType
from typing import Any, get_args, get_type_hints

import msgspec

from pullstudy.pulls.batch import REJECT_IDENTITY, Gap, Reject
from pullstudy.pulls.milestone import Milestone
from pullstudy.pulls.record import WITNESS_PREFIX, PullRecord

VERSION = 3  # PRAGMA user_version; a file of a version that is neither this nor in UPGRADES is refused, never changed
UPGRADES = {  # what makes a file of that version one of the next
    1: ("ALTER TABLE rejects ADD COLUMN at TEXT",),
    2: ("ALTER TABLE jobs ADD COLUMN hold_seconds REAL NOT NULL DEFAULT 0",),
}

FILE_NAME = "study.sqlite3"


def _columns(struct: type[msgspec.Struct], key: tuple[str, ...]) -> str:
    hints = get_type_hints(struct)
    lines = []
    for name in struct.__struct_fields__:
        kinds = get_args(hints[name]) if isinstance(hints[name], UnionType) else (hints[name],)
        optional = type(None) in kinds
        lines.append(f"  {name} {_affinity(kinds)}{'' if optional else ' NOT NULL'}")
    return ",\n".join([*lines, f"  PRIMARY KEY ({', '.join(key)})"])


def _form(struct: type[msgspec.Struct], key: tuple[str, ...]) -> str:
    # Uids are random: rows kept in their order would have each new one rewrite a page of wide rows somewhere, at a
    # third of the speed. Where the key is nearly the whole row, the other form would keep it twice.
    return " WITHOUT ROWID" if len(key) >= len(struct.__struct_fields__) - 1 else ""


def _affinity(kinds: tuple[Any, ...]) -> str:
    if float in kinds:
        return "REAL"
    return "INTEGER" if int in kinds else "TEXT"  # times are ISO 8601 in UTC: they sort as text


RECORD_TABLES: dict[str, tuple[type[msgspec.Struct], tuple[str, ...]]] = {
    "pull_records": (PullRecord, ("event_uid", "count")),
    "milestone_records": (Milestone, ("event_uid", "count", "moment")),
    "rejects": (Reject, REJECT_IDENTITY),
    "gaps": (Gap, ("cluster", "from_version", "to_version", "found_at", "why")),
}

# What the driver writes. Times are ISO 8601 in UTC, JSON is JSON.
LEDGER_TABLES = """
CREATE TABLE runs (                 -- one row a pass over the sizes
  run TEXT PRIMARY KEY,
  provider TEXT NOT NULL,           -- sim, kubeconfig, kwok, eks, or import
  study TEXT NOT NULL,              -- the study as it was run, JSON
  seed INTEGER,                     -- of the order of the jobs
  started_at TEXT NOT NULL,
  finished_at TEXT
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
  PRIMARY KEY (pod_uid, container)
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
CREATE TABLE layers (               -- one row a layer of an image's manifest
  repository TEXT NOT NULL, tag TEXT NOT NULL, position INTEGER NOT NULL,
  digest TEXT NOT NULL, layer_bytes INTEGER NOT NULL, media_type TEXT,
  platform TEXT, os TEXT, arch TEXT, schema_version INTEGER,
  PRIMARY KEY (repository, tag, position)
);
"""

# Pod status tells that an image is there, and only guesses whether it was pulled: either event tells it better.
PRESENT = "('pulled', 'cached')"

VIEWS = f"""
CREATE VIEW pulls AS SELECT r.* FROM pull_records r
  WHERE NOT EXISTS (
    SELECT 1 FROM jobs j WHERE j.cluster = r.cluster AND j.job = r.job AND j.state = 'abandoned')
  AND NOT (r.event_uid LIKE '{WITNESS_PREFIX}%' AND EXISTS (
    SELECT 1 FROM pull_records e WHERE e.pod_uid = r.pod_uid AND e.container = r.container
      AND (e.outcome = r.outcome OR (e.outcome IN {PRESENT} AND r.outcome IN {PRESENT}))
      AND e.event_uid NOT LIKE '{WITNESS_PREFIX}%'));
CREATE VIEW milestones AS SELECT r.* FROM milestone_records r
  WHERE NOT EXISTS (
    SELECT 1 FROM jobs j WHERE j.cluster = r.cluster AND j.job = r.job AND j.state = 'abandoned');
"""

INDEXES = """
CREATE INDEX pull_records_by_job ON pull_records (cluster, job);
CREATE INDEX pull_records_by_pod ON pull_records (pod_uid, container);
CREATE INDEX milestone_records_by_job ON milestone_records (cluster, job);
"""


def create_script() -> str:
    """All of the layout, as SQL."""
    tables = [
        f"CREATE TABLE {table} (\n{_columns(struct, key)}\n){_form(struct, key)};\n"
        for table, (struct, key) in RECORD_TABLES.items()
    ]
    return "".join([*tables, LEDGER_TABLES, VIEWS, INDEXES, f"PRAGMA user_version = {VERSION};\n"])
