"""The edge to whatever holds an archive's objects: a directory, or S3."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pullstudy.store.protocol import StoreError

Version = str  # of one object's content, as the place tells it


class NoObjectError(StoreError):
    """There is none of this key, or no longer."""


class ConflictError(StoreError):
    """The object is not of the version that the caller read: another has replaced it."""


@dataclass(frozen=True)
class Listed:
    """An object that is there."""

    key: str
    size_bytes: int


class Objects(Protocol):
    """Objects by key, which appear whole or not at all. Every method raises StoreError."""

    def list(self, prefix: str) -> Iterator[Listed]:
        """Those under a key that ends in a slash, in order; with no promise about those that come or go meanwhile."""
        ...

    def fetched(self, key: str, directory: Path) -> AbstractContextManager[tuple[Path, Version]]:
        """The object as it is now, as a file of this machine: in the directory, or by a descriptor.

        It stays as it is for as long as the block lasts. Raises NoObjectError.
        """
        ...

    def put(self, key: str, file: Path) -> None:
        """The file's content, over what there is. On return it is durable."""
        ...

    def replace(self, key: str, file: Path, version: Version | None) -> None:
        """As put(), where the object is still of that version; None: where there is none. Raises ConflictError."""
        ...

    def delete(self, key: str) -> None:
        """Gone on return, also where it was before."""
        ...
