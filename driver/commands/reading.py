"""``--influx``, ``--archive``, ``--run`` and ``--cluster`` of the commands that read a study, as a StudySource."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from driver.errors import UsageError

if TYPE_CHECKING:
    from pullstudy.analysis.reading.source import StudySource
    from pullstudy.store.stores import StoreSettings

ReadInflux = Annotated[
    str | None,
    typer.Option(
        "--influx",
        metavar="URL",
        help="Read the records from this InfluxDB 2. Token: INFLUXDB_V2_... (docs/influxdb.md).",
    ),
]
ReadArchive = Annotated[
    str | None,
    typer.Option(
        "--archive",
        metavar="PLACE",
        help="Read the records from this archive: a directory, or s3://BUCKET/PREFIX (docs/archive.md).",
    ),
]
Runs = Annotated[
    list[str] | None,
    typer.Option("--run", metavar="RUN", help="Only this run; may be repeated. '' is what belongs to none."),
]
Clusters = Annotated[
    list[str] | None, typer.Option("--cluster", metavar="NAME", help="Only this cluster; may be repeated.")
]


def source_of(
    out: Path, influx: str | None, archive: str | None, runs: list[str] | None, clusters: list[str] | None
) -> "StudySource":
    """The directory's study, or what is in InfluxDB or in an archive.

    Raises UsageError, AnalysisError, NotAStudyError, StoreError.
    """
    from pullstudy.analysis.reading.joined_records import check_chosen
    from pullstudy.analysis.reading.source import of_directory, of_store

    wanted = tuple(run or None for run in runs or ())
    store = place_of(out, influx, archive)
    if store is None:
        source = of_directory(out, runs=wanted, clusters=tuple(clusters or ()), environment=os.environ)
        if wanted or clusters:
            check_chosen(source, wanted, clusters or ())
        return source
    return of_store(store, runs=wanted, clusters=tuple(clusters or ()), directory=out)


def place_of(out: Path, influx: str | None, archive: str | None) -> "StoreSettings | None":
    """The store that is read in place of the directory; None where none is given. Raises UsageError, StoreError."""
    if influx is not None and archive is not None:
        raise UsageError("--influx and --archive: give one of them")
    if archive is not None:
        from pullstudy.store.stores import ARCHIVE, store_settings

        return store_settings(os.environ, url=archive, store=ARCHIVE)
    return store_of(out, influx) if influx is not None else None


def store_of(out: Path, url: str) -> "StoreSettings":
    """How it is reached; bucket and organisation are those of the directory's run, if that is there.

    Raises StoreError.
    """
    from pullstudy.analysis.reading.source import destination_of, runs_of
    from pullstudy.store.embedded.schema import FILE_NAME
    from pullstudy.store.stores import store_settings

    if (out / FILE_NAME).is_file():
        for run in reversed(runs_of(out)):
            destination = destination_of(run)
            if destination.influx == url.rstrip("/"):
                return destination.store_settings(os.environ)
    return store_settings(os.environ, url=url)
