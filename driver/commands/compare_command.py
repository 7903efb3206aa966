"""``pulldriver compare``."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from driver.commands.options import Json
from driver.commands.reading import ReadArchive, source_of
from driver.commands.thresholds import thresholds_of, verdict_code
from pullstudy.pulls.printable import printable

if TYPE_CHECKING:
    from pullstudy.analysis.comparison.compare import Comparison
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
    archive: ReadArchive = None,
    image: Annotated[
        list[str] | None,
        typer.Option("--image", metavar="GLOB", help="Only images whose name, or its end, fits; may be repeated."),
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="CONDITION",
            help="End with 1 where it is met beyond chance, with 3 where these data cannot tell; may be repeated. "
            "Of median, p95, p99, makespan, failures or cost: 'p95 > 1.10', 'makespan > 5s', 'failures > 3'.",
        ),
    ] = None,
    cluster_spread: Annotated[
        float,
        typer.Option(
            "--cluster-spread",
            metavar="PERCENT",
            min=0.0,
            max=100.0,
            help="By how much clusters of one kind are assumed to differ, where too few are here to measure it.",
        ),
    ] = 5.0,
    all: Annotated[bool, typer.Option("--all", help="Each image at each size too, and all that differs.")] = False,
    format: Annotated[Form, typer.Option("--format", help="Tables for people, or JSON.")] = Form.TEXT,
    json: Json = False,
) -> None:
    """Put two studies side by side: how much faster, cheaper and steadier the second is, and what else differs.

    With --fail-if: exit code 0 where no condition is met, 1 where one is met beyond chance, 3 where it cannot be told.

    Examples:

      pulldriver compare pulling-study second

      pulldriver compare pulling-study second --image '*spack*' --json

      pulldriver compare baseline tonight --fail-if 'p95 > 1.10' --fail-if 'makespan > 5s'

      pulldriver compare pulling-study run-20261124T061500Z --influx http://influx:8086
    """
    from pullstudy.analysis.comparison.compare import compare
    from pullstudy.analysis.comparison.text import lines
    from pullstudy.analysis.findings.finding import Verdict

    bars = thresholds_of(fail_if or (), "--fail-if")
    sides = (_source(study, influx, archive) for study in (first, second))
    comparison = compare(*sides, images=image or (), bars=bars, cluster_spread=cluster_spread / 100)
    if json or format is Form.JSON:
        print(_json(comparison))
    else:
        print("\n".join(map(printable, lines(comparison, whole=all))))
    if bars:
        raise typer.Exit(verdict_code((bar.verdict for bar in comparison.bars), failing=Verdict.YES))


def _json(comparison: "Comparison") -> str:
    import msgspec

    from pullstudy.analysis.findings.finding import findings_of_json

    told = {
        "first": comparison.first,
        "second": comparison.second,
        "simulated": comparison.simulated,
        "notes": dict(zip(("first", "second"), comparison.notes, strict=True)),
        "differences": [str(difference) for difference in comparison.differences],
        "findings": findings_of_json([*comparison.findings, *comparison.bars]),
    }
    return msgspec.json.format(msgspec.json.encode(told)).decode()


def _source(study: str, influx: str | None, archive: str | None) -> "StudySource":
    """A directory with a study in it, or else a run in the InfluxDB or the archive."""
    from pullstudy.store.embedded.schema import FILE_NAME

    directory = Path(study)
    if (influx is None and archive is None) or (directory / FILE_NAME).is_file():
        return source_of(directory, None, None, None, None)
    return source_of(directory, influx, archive, [study], None)
