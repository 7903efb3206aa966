"""The objects of an archive by its settings."""

from pathlib import Path

from pullstudy.store.archive.directory_objects import DirectoryObjects
from pullstudy.store.archive.objects import Objects
from pullstudy.store.archive.settings import ArchiveSettings


def objects_of(settings: ArchiveSettings) -> Objects:
    """Nothing is asked of S3 yet."""
    if not settings.on_s3:
        return DirectoryObjects(Path(settings.url))
    from pullstudy.store.archive.s3_objects import S3Objects

    return S3Objects(settings)
