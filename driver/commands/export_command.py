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
) -> None:
    """Write a table of a study, to standard output or a file.

    Examples:

      pulldriver export pulls --format csv > pulls.csv

      pulldriver export phases --format parquet --to phases.parquet
    """
    from analysis.export import export

    export(out, what, format, to)
