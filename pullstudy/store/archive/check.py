"""Whether an archive can be written, replaced and deleted in, before anything is."""

import asyncio
import tempfile
from pathlib import Path

from pullstudy.store.archive.objects import ConflictError, Objects
from pullstudy.store.archive.places import objects_of
from pullstudy.store.archive.settings import ArchiveSettings
from pullstudy.store.protocol import StoreError

_KEY = "incoming/check"  # no Parquet: nothing reads it


async def why_not_usable(settings: ArchiveSettings) -> str | None:
    """One line; None where it can. Leaves nothing behind."""
    try:
        await asyncio.to_thread(_try, objects_of(settings))
    except StoreError as error:
        return str(error)
    return None


def _try(objects: Objects) -> None:
    with tempfile.TemporaryDirectory(prefix="pullstudy-") as directory:
        file = Path(directory, "check")
        file.write_bytes(b"pullstudy")
        objects.delete(_KEY)
        try:
            objects.replace(_KEY, file, None)
        except ConflictError:  # another looks at the same time
            return
        objects.delete(_KEY)
