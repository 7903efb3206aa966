"""Drafts: files that are written in the temporary directory before they go where they belong."""

from collections.abc import Iterator
from contextlib import contextmanager

from pullstudy.store.protocol import StoreError


@contextmanager
def draft_errors() -> Iterator[None]:
    """What the block meets there, as on a full disk, as a StoreError."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"archive: its drafts in the temporary directory (TMPDIR): {error.strerror or error}"
        ) from error
