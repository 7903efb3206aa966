"""``pulldriver compare``."""

from pathlib import Path
from typing import Annotated

import typer


def compare_command(
    first: Annotated[Path, typer.Argument(metavar="DIR", help="The study to compare with.")],
    second: Annotated[Path, typer.Argument(metavar="DIR", help="The study compared.")],
) -> None:
    """Put two studies side by side: speed-up, confidence, cost, and what differs between their nodes.

    Example:

      pulldriver compare pulling-study second
    """
    from analysis.compare import compare

    print(compare(first, second))
