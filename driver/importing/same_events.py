"""Whether what was imported as one cluster is there as another too: one log under two names counts every pull twice."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pullstudy.pulls.kinds import PULL
from pullstudy.pulls.record import WITNESS_PREFIX
from pullstudy.store.embedded.store import open_connection, store_errors

_LOOKED_AT = 1_000  # pulls: uids are random, so the first of them are a sample


@dataclass(frozen=True)
class SameEvents:
    """Pulls of a cluster whose events are another cluster's too."""

    other: str
    same: int
    looked_at: int


def same_events(directory: Path, cluster: str) -> Iterator[SameEvents]:
    """Of the study in the directory, by the cluster's other clusters in order. Raises StoreError."""
    some = f"""SELECT event_uid, count FROM {PULL.table} WHERE cluster = ?1
        AND event_uid NOT LIKE '{WITNESS_PREFIX}%' ORDER BY event_uid LIMIT {_LOOKED_AT}"""
    connection = open_connection(directory, create=False)
    try:
        with store_errors(directory):
            (looked_at,) = connection.execute(f"SELECT count(*) FROM ({some})", (cluster,)).fetchone()
            others = connection.execute(
                f"SELECT DISTINCT cluster FROM {PULL.table} WHERE cluster <> ?1 ORDER BY 1", (cluster,)
            ).fetchall()
            for (other,) in others:
                (same,) = connection.execute(
                    f"SELECT count(*) FROM ({some}) s JOIN {PULL.table} o"
                    " ON o.cluster = ?2 AND o.event_uid = s.event_uid AND o.count = s.count",
                    (cluster, other),
                ).fetchone()
                if same:
                    yield SameEvents(other, same, looked_at)
    finally:
        connection.close()
