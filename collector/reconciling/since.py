"""From when on pods have to be looked at again: a small file beside the spool, for the next start."""

from datetime import datetime
from pathlib import Path

from pullstudy.atomic_file import write_file

FILE_NAME = "reconciled-until"


def read_since(directory: Path) -> datetime | None:
    """What was saved; None where nothing was, or nothing that can be read."""
    try:
        at = datetime.fromisoformat((directory / FILE_NAME).read_text().strip())
    except (OSError, ValueError):
        return None
    return at if at.tzinfo else None


def save_since(directory: Path, at: datetime) -> None:
    """Whole or not at all. Raises OSError."""
    write_file(directory / FILE_NAME, f"{at.isoformat()}\n".encode())
