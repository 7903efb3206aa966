"""``pulldriver compare``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Form(StrEnum):
    """How the comparison is printed."""

    TEXT = "text"
    JSON = "json"


def compare_command(
    first: Annotated[Path, typer.Argument(metavar="DIR", help="The study to compare with.")],
    second: Annotated[Path, typer.Argument(metavar="DIR", help="The study compared.")],
    format: Annotated[Form, typer.Option("--format", help="Tables for people, or JSON.")] = Form.TEXT,
) -> None:
    """Put two studies side by side: speed-up, confidence, cost, and what differs between their nodes.

    Examples:

      pulldriver compare pulling-study second

      pulldriver compare pulling-study second --format json
    """
    import msgspec

    from analysis.compare import compare

    comparison = compare(first, second)
    if format is Form.JSON:
        print(msgspec.json.format(msgspec.json.encode(comparison)).decode())
    else:
        print("\n".join(comparison.lines()))
