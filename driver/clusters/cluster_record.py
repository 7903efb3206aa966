"""What the ledger keeps of a cluster, so that a later process can take it down and count what it cost."""

from collections.abc import Callable, Iterable
from datetime import datetime

import msgspec

from driver.clusters.provider import Handle
from driver.planning.price import HourlyPrice
from pullstudy.store.embedded.ledger import ClusterRow, ClusterState, Ledger


class SavedHandle(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger's ``handle``: all that a later process needs to take a cluster and its collector down."""

    provider: Handle = {}
    collector_pid: int | None = None
    earlier_seconds: float = 0.0  # for which clusters of this name were up before this one: they were paid for


class ClusterRecord:
    """A cluster's row: what is put is in the ledger when put() returns. Raises StoreError."""

    def __init__(self, ledger: Ledger, row: ClusterRow) -> None:
        self._ledger = ledger
        self.row = row
        self.handle = _handle_of(row)

    def put(self, **changes: object) -> None:
        self.row = msgspec.structs.replace(self.row, **changes)
        self._ledger.put_cluster(self.row)

    def put_handle(self, **changes: object) -> None:
        self.handle = msgspec.structs.replace(self.handle, **changes)
        self.put(handle=msgspec.json.encode(self.handle).decode())

    def put_creating(self, at: datetime) -> None:
        """Begin it anew: the time for which clusters of this name were up until now is added up."""
        row = self.row
        up = (row.down_at - row.created_at).total_seconds() if row.created_at and row.down_at else 0.0
        self.put_handle(earlier_seconds=self.handle.earlier_seconds + up)
        self.put(state=ClusterState.CREATING, created_at=at, up_at=None, down_at=None)


def cost_so_far(rows: Iterable[ClusterRow], hourly: Callable[[int], HourlyPrice], now: datetime) -> float:
    """What the clusters of a sweep have cost, by the ledger's times; one that is up costs until now."""
    return sum(hourly(row.size).amount * _seconds_up(row, now) / 3600 for row in rows)


def _seconds_up(row: ClusterRow, now: datetime) -> float:
    earlier = _handle_of(row).earlier_seconds
    if row.created_at is None:
        return earlier
    return earlier + max(0.0, ((row.down_at or now) - row.created_at).total_seconds())


def _handle_of(row: ClusterRow) -> SavedHandle:
    return msgspec.json.decode(row.handle, type=SavedHandle) if row.handle else SavedHandle()
