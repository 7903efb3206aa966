"""``pulldriver export``."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from driver.commands.options import DEFAULT_OUT, Out
from driver.commands.reading import Clusters, ReadArchive, ReadInflux, Runs, place_of, source_of
from driver.errors import UsageError


def export_command(
    what: Annotated[str, typer.Argument(metavar="TABLE", help="pulls, phases, moments, runs, layers or similarity.")],
    out: Out = DEFAULT_OUT,
    format: Annotated[str, typer.Option("--format", help="csv, jsonl or parquet.")] = "csv",
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Write here instead of to stdout.")] = None,
    influx: ReadInflux = None,
    archive: ReadArchive = None,
    run: Runs = None,
    cluster: Clusters = None,
    tags_of: Annotated[
        Path | None,
        typer.Option(
            "--tags-of",
            metavar="FILE",
            help="layers, similarity: only the images that this list, CSV or JSON file names.",
        ),
    ] = None,
    without_shared: Annotated[
        bool, typer.Option("--without-shared", help="layers, similarity: leave out layers that all images share.")
    ] = False,
) -> None:
    """Write a table of a study, to standard output or a file.

    Examples:

      pulldriver export pulls --format csv > pulls.csv

      pulldriver export phases --format parquet --to phases.parquet

      pulldriver export layers --tags-of container-similarity.csv --without-shared

      pulldriver export runs --influx http://influx:8086

      pulldriver export pulls --influx http://influx:8086 --run run-20261124T061500Z

      pulldriver export pulls --archive s3://pulls/archive --cluster prod-1 --format parquet --to prod-1.parquet
    """
    from pullstudy.analysis.export import LAYER_TABLES, LayerChoice, export
    from pullstudy.analysis.reading.source import StudySource, whole_bucket

    if what not in LAYER_TABLES and (tags_of or without_shared):
        given = "--tags-of" if tags_of else "--without-shared"
        raise UsageError(f"{given}: chooses layers; {what} has none, so leave it out")
    store = place_of(out, influx, archive)
    if what in LAYER_TABLES and store is None:
        source = StudySource(name=str(out), directory=out)  # no record is read, and no token is asked for
    elif what == "runs" and store is not None and not run and not cluster:
        source = whole_bucket(store)  # which there are is asked before one is chosen
    else:
        source = source_of(out, influx, archive, run, cluster)
    rows = export(source, what, format, to, LayerChoice(tags_of, without_shared))
    if not rows and what in LAYER_TABLES:
        command = f"pulldriver import MANIFESTS --out {shlex.quote(str(out))}"
        print(f"{out} has no layers: {command}, see docs/similarity.md", file=sys.stderr)
