"""An archive as it is read: a local file for each partition, with what is not merged yet merged into copies.

What came in is taken before the partitions are looked at: whoever merges it meanwhile puts it there, and is seen there.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from pullstudy.pulls.kind import Kind
from pullstudy.store.archive.compaction import Merging, fetch_all
from pullstudy.store.archive.incoming import incoming_of
from pullstudy.store.archive.merge import engine
from pullstudy.store.archive.objects import Objects
from pullstudy.store.archive.parquet_file import CLUSTER_KEY, schema_in
from pullstudy.store.archive.partition import Partition, PartitionKey
from pullstudy.store.archive.settings import ArchiveSettings
from pullstudy.store.protocol import StoreError

AT_ONCE = 16  # objects that are fetched


@dataclass(frozen=True)
class PartitionFile:
    """One partition on this machine: sorted, each record once."""

    cluster: str
    day: str | None
    path: Path


class Snapshot:
    """The partitions of each kind as they are when they are first asked for, until the stack ends."""

    def __init__(
        self,
        objects: Objects,
        settings: ArchiveSettings,
        clusters: tuple[str, ...],
        directory: Path,
        stack: ExitStack,
    ) -> None:
        """Of these clusters, or of all; what is no file of this machine yet is put into the directory."""
        self._settings = settings
        self._objects = objects
        self._clusters = clusters
        self._directory = directory
        self._stack = stack
        self._files: dict[str, list[PartitionFile]] = {}

    def of(self, kind: Kind[Any], clusters: tuple[str, ...] = ()) -> list[PartitionFile]:
        """In order of cluster and day; what is of no day comes first. Raises StoreError."""
        if kind.plural not in self._files:
            self._files[kind.plural] = self._look(kind)
        return [each for each in self._files[kind.plural] if not clusters or each.cluster in clusters]

    def _look(self, kind: Kind[Any]) -> list[PartitionFile]:
        keys = [each.key for each in incoming_of(self._objects, kind)]
        fresh = fetch_all(self._objects, keys, self._directory, self._stack)
        found = self._merged(kind, fresh) if fresh else {}
        there = (PartitionKey.of(listed.key) for listed in self._objects.list(f"{kind.plural}/"))
        unchanged = [key for key in there if key is not None and key.key not in found and self._may_be_wanted(key)]
        files = [*found.values(), *self._fetched(unchanged)]
        wanted = [each for each in files if not self._clusters or each.cluster in self._clusters]
        return sorted(wanted, key=lambda each: (each.cluster, each.day is not None, each.day))

    def _may_be_wanted(self, key: PartitionKey) -> bool:
        return not self._clusters or key.cluster is None or key.cluster in self._clusters

    def _merged(self, kind: Kind[Any], fresh: list[Path]) -> dict[str, PartitionFile]:
        """By key, the partitions that incoming objects have records of, as compaction will write them."""
        made = {}
        with engine(self._settings.memory_bytes, self._directory) as connection:
            merging = Merging(connection, kind, fresh)
            for partition in merging.partitions():
                if not self._clusters or partition.cluster in self._clusters:
                    made[partition.key] = PartitionFile(
                        partition.cluster, partition.day, self._write(merging, partition)
                    )
        return made

    def _write(self, merging: Merging, partition: Partition) -> Path:
        target = self._directory / f"{uuid4().hex}.parquet"
        with ExitStack() as stack:
            before = fetch_all(self._objects, [partition.key], self._directory, stack)
            merging.write(partition, before, target)
        return target

    def _fetched(self, keys: Sequence[PartitionKey]) -> Iterator[PartitionFile]:
        """Many at once, for the sake of S3."""
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for key, (path, release) in zip(keys, threads.map(self._held, keys), strict=True):
                self._stack.enter_context(release)
                cluster = key.cluster if key.cluster is not None else _cluster_in(path)
                yield PartitionFile(cluster, key.day, path)

    def _held(self, key: PartitionKey) -> tuple[Path, ExitStack]:
        with ExitStack() as stack:
            path, _ = stack.enter_context(self._objects.fetched(key.key, self._directory))
            return path, stack.pop_all()


def _cluster_in(path: Path) -> str:
    """Of a partition whose key has its name cut."""
    name: bytes | None = (schema_in(path).metadata or {}).get(CLUSTER_KEY)
    if name is None:
        raise StoreError(f"archive: {path} does not say of which cluster it is: no archive has written it")
    return name.decode()
