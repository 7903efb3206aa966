"""``pulldriver export``."""

from pathlib import Path
from typing import Annotated

import typer

from driver.commands.options import DEFAULT_OUT, Out


def export_command(
    what: Annotated[str, typer.Argument(metavar="TABLE", help="pulls, phases, layers or similarity.")],
    out: Out = DEFAULT_OUT,
    format: Annotated[str, typer.Option("--format", help="csv, jsonl or parquet.")] = "csv",
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Write here instead of to stdout.")] = None,
    tags_of: Annotated[
        Path | None,
        typer.Option("--tags-of", metavar="CSV", help="layers, similarity: only the images that this file names."),
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
    """
    from analysis.export import LayerChoice, export

    export(out, what, format, to, LayerChoice(tags_of, without_shared))
