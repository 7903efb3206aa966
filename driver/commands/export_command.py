"""``pulldriver export``."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from driver.commands.options import DEFAULT_OUT, Out
from driver.commands.reading import Clusters, ReadArchive, ReadInflux, Runs, place_of, source_of
from driver.errors import UsageError

if TYPE_CHECKING:
    from pullstudy.analysis.reading.source import StudySource

TRACE = "trace"


def export_command(
    what: Annotated[
        str,
        typer.Argument(
            metavar="TABLE", help="pulls, phases, moments, runs, layers, similarity, stages, layer-stages or trace."
        ),
    ],
    out: Out = DEFAULT_OUT,
    format: Annotated[
        str | None,
        typer.Option("--format", help="csv (without it), jsonl or parquet; of trace: otlp (without it) or perfetto."),
    ] = None,
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
    image: Annotated[
        list[str] | None,
        typer.Option(
            "--image", metavar="GLOB", help="trace: only images whose name, or its end, fits; may be repeated."
        ),
    ] = None,
    job: Annotated[
        list[str] | None,
        typer.Option("--job", metavar="GLOB", help="trace: only jobs whose name fits; may be repeated."),
    ] = None,
) -> None:
    """Write a table of a study, or its pulls as traces, to standard output or a file.

    Examples:

      pulldriver export pulls --format csv > pulls.csv

      pulldriver export phases --format parquet --to phases.parquet

      pulldriver export layers --tags-of container-similarity.csv --without-shared

      pulldriver export stages --format csv > stages.csv

      pulldriver export layer-stages --archive s3://pulls/archive --cluster prod-1 --format parquet --to layers.parquet

      pulldriver export runs --influx http://influx:8086

      pulldriver export pulls --influx http://influx:8086 --run run-20261124T061500Z

      pulldriver export pulls --archive s3://pulls/archive --cluster prod-1 --format parquet --to prod-1.parquet

      pulldriver export trace --to traces.jsonl

      pulldriver export trace --format perfetto --image '*:9-layers-*' --to pulls.json
    """
    from pullstudy.analysis.export import LAYER_TABLES, LayerChoice, export
    from pullstudy.analysis.reading.source import StudySource, whole_bucket

    if what == TRACE:
        _check_no_layers(what, tags_of, without_shared)
        return _export_traces(source_of(out, influx, archive, run, cluster), format or "otlp", to, image, job)
    if image or job:
        given = "--image" if image else "--job"
        raise UsageError(f"{given}: chooses traces; of {what} leave it out")
    if what not in LAYER_TABLES:
        _check_no_layers(what, tags_of, without_shared)
    store = place_of(out, influx, archive)
    if what in LAYER_TABLES and store is None:
        source = StudySource(name=str(out), directory=out)  # no record is read, and no token is asked for
    elif what == "runs" and store is not None and not run and not cluster:
        source = whole_bucket(store)  # which there are is asked before one is chosen
    else:
        source = source_of(out, influx, archive, run, cluster)
    rows = export(source, what, format or "csv", to, LayerChoice(tags_of, without_shared))
    if not rows and what in LAYER_TABLES:
        command = f"pulldriver import MANIFESTS --out {shlex.quote(str(out))}"
        print(f"{out} has no layers: {command}, see docs/similarity.md", file=sys.stderr)


def _check_no_layers(what: str, tags_of: Path | None, without_shared: bool) -> None:
    """Raises UsageError where layers are chosen of what has none."""
    if tags_of or without_shared:
        given = "--tags-of" if tags_of else "--without-shared"
        raise UsageError(f"{given}: chooses layers; {what} has none, so leave it out")


def _export_traces(
    source: "StudySource", format: str, to: Path | None, images: list[str] | None, jobs: list[str] | None
) -> None:
    from pullstudy.analysis.trace_export import TraceChoice, export_traces

    if not export_traces(source, format, to, TraceChoice(tuple(images or ()), tuple(jobs or ()))):
        print(f"{source}: no pull {'of what was chosen' if images or jobs else 'is on record'}", file=sys.stderr)
