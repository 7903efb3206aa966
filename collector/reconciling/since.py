"""From when on pods have to be looked at again at the next start: the position of source ``pods`` in the spool."""

from datetime import datetime
from pathlib import Path

FILE_NAME = "reconciled-until"  # where versions up to 0.1 kept it, beside the spool


def encode_since(at: datetime) -> bytes:
    return at.isoformat().encode()


def decode_since(position: bytes | None) -> datetime | None:
    """None where there is none, or none that can be read."""
    try:
        at = datetime.fromisoformat((position or b"").decode().strip())
    except ValueError:
        return None
    return at if at.tzinfo else None


def read_since_file(directory: Path) -> datetime | None:
    """What an earlier version left there; None where nothing is."""
    try:
        return decode_since((directory / FILE_NAME).read_bytes())
    except OSError:
        return None
