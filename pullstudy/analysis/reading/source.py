"""Where a study is read: its directory, an InfluxDB, or both.

The ledger (jobs, caches, audits) and the layers are in a directory only. Without one a study is its records: what the
driver recorded is then unknown, and the report says so.
"""

import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pullstudy.analysis.errors import NoSuchRunError, SeveralRunsError
from pullstudy.store.destination import Destination
from pullstudy.store.embedded.ledger import Run
from pullstudy.store.embedded.rows import from_rows
from pullstudy.store.embedded.schema import FILE_NAME
from pullstudy.store.embedded.store import open_connection, store_errors
from pullstudy.store.protocol import StoredRun
from pullstudy.store.selection import ALL, Selection
from pullstudy.store.stores import StoreSettings, open_reader


@dataclass(frozen=True)
class StudySource:
    """What is read, and where. ``file`` and ``bucket`` have records, ``directory`` has the ledger and the layers."""

    name: str
    directory: Path | None = None
    file: Selection | None = ALL  # of the directory's own file
    buckets: tuple[tuple[StoreSettings, Selection], ...] = ()

    @property
    def ledger(self) -> Selection:
        """What of the ledger goes with the records: all, or the runs that are read from InfluxDB alone."""
        if self.file is not None:
            return self.file
        return Selection(
            runs=tuple(run for _, selection in self.buckets for run in selection.runs),
            clusters=tuple(cluster for _, selection in self.buckets for cluster in selection.clusters),
        )

    def __str__(self) -> str:
        return str(self.directory) if self.directory is not None else self.name


def as_source(where: "Path | StudySource", environment: Mapping[str, str] | None = None) -> StudySource:
    """A directory stands for all that is in it. Raises NotAStudyError, StoreError."""
    return where if isinstance(where, StudySource) else of_directory(where, environment=environment)


def of_directory(
    directory: Path,
    *,
    runs: tuple[str | None, ...] = (),
    clusters: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> StudySource:
    """The file's records, and those of its runs that are in an InfluxDB. Raises NotAStudyError, StoreError."""
    environment = os.environ if environment is None else environment
    buckets: dict[StoreSettings, list[str]] = {}
    for run in runs_of(directory):
        destination = destination_of(run)
        if destination.shared and (not runs or run.run in runs):
            buckets.setdefault(destination.store_settings(environment), []).append(run.run)
    return StudySource(
        name=directory.resolve().name,
        directory=directory,
        file=Selection(runs, clusters),
        buckets=tuple((settings, Selection(tuple(names), clusters)) for settings, names in buckets.items()),
    )


def of_store(
    settings: StoreSettings,
    *,
    runs: tuple[str | None, ...] = (),
    clusters: tuple[str, ...] = (),
    directory: Path | None = None,
) -> StudySource:
    """The runs of these names; without any, the one of the directory, or the only one.

    The directory is used where it holds one of them. Raises NoSuchRunError, SeveralRunsError, StoreError.
    """
    known = runs_of(directory) if directory is not None and (directory / FILE_NAME).is_file() else []
    there = open_reader(settings).runs()
    chosen = _chosen(there, runs, clusters, {run.run for run in known}, settings)
    names = tuple(dict.fromkeys(each.run for each in chosen))
    found = dict.fromkeys(each.cluster for each in chosen)
    with_ledger = directory is not None and not {run.run for run in known}.isdisjoint(names)
    return StudySource(
        name=directory.resolve().name if with_ledger and directory else "-".join(name or "no run" for name in names),
        directory=directory if with_ledger else None,
        file=None,
        buckets=((settings, Selection(names, tuple(found))),),
    )


def whole_bucket(settings: StoreSettings) -> StudySource:
    """All runs together: for a look at which there are."""
    return StudySource(name=settings.bucket, file=None, buckets=((settings, ALL),))


def _chosen(
    there: list[StoredRun],
    runs: tuple[str | None, ...],
    clusters: tuple[str, ...],
    known: set[str],
    settings: StoreSettings,
) -> list[StoredRun]:
    of_clusters = [each for each in there if not clusters or each.cluster in clusters]
    found = [each for each in of_clusters if not runs or each.run in runs]
    if not found or not {each.run for each in found}.issuperset(runs):
        raise NoSuchRunError(settings.place, runs, clusters, there)
    own = [each for each in found if each.run in known]
    if not runs and own:
        return own
    if not runs and len({each.run for each in found}) > 1:
        raise SeveralRunsError(settings.place, found)
    return found


def runs_of(directory: Path) -> list[Run]:
    """By the ledger of a study. Raises NotAStudyError, StoreError."""
    with closing(open_connection(directory, create=False)) as connection, store_errors(directory):
        names = ", ".join(Run.__struct_fields__)
        return list(from_rows(Run, connection.execute(f"SELECT {names} FROM runs ORDER BY started_at, run")))


class _Collect(msgspec.Struct, frozen=True):
    collect: Destination = Destination()


def destination_of(run: Run) -> Destination:
    """Where its records are, as its study has it."""
    return msgspec.json.decode(run.study, type=_Collect).collect
