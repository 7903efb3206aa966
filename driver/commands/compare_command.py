"""``pulldriver compare``."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from driver.commands.options import Json
from driver.commands.reading import source_of
from pullstudy.pulls.printable import printable

if TYPE_CHECKING:
    from pullstudy.analysis.reading.source import StudySource


class Form(StrEnum):
    """How the comparison is printed."""

    TEXT = "text"
    JSON = "json"


def compare_command(
    first: Annotated[str, typer.Argument(metavar="STUDY", help="The study to compare with: a directory, or a run.")],
    second: Annotated[str, typer.Argument(metavar="STUDY", help="The study compared.")],
    influx: Annotated[
        str | None,
        typer.Option(
            "--influx", metavar="URL", help="Where the runs are that are no directories. Token: INFLUXDB_V2_..."
        ),
    ] = None,
    format: Annotated[Form, typer.Option("--format", help="Tables for people, or JSON.")] = Form.TEXT,
    json: Json = False,
) -> None:
    """Put two studies side by side: speed-up, confidence, cost, and what differs between their nodes.

    Examples:

      pulldriver compare pulling-study second

      pulldriver compare pulling-study second --json

      pulldriver compare pulling-study run-20261124T061500Z --influx http://influx:8086
    """
    import msgspec

    from pullstudy.analysis.compare import compare

    comparison = compare(*(_source(study, influx) for study in (first, second)))
    if json or format is Form.JSON:
        print(msgspec.json.format(msgspec.json.encode(comparison)).decode())
    else:
        print("\n".join(map(printable, comparison.lines())))


def _source(study: str, influx: str | None) -> "StudySource":
    """A directory with a study in it, or else a run in the InfluxDB."""
    from pullstudy.store.embedded.schema import FILE_NAME

    directory = Path(study)
    if influx is None or (directory / FILE_NAME).is_file():
        return source_of(directory, None, None, None)
    return source_of(directory, influx, [study], None)
