"""A page of a list, its items still bytes: one that cannot be read must not cost the others."""

import msgspec

from pullstudy.kube.errors import TransportError
from pullstudy.kube.objects import ListMetadata
from pullstudy.kube.status import UNREADABLE


class UnreadableError(TransportError):
    """An answer that is no list: cut off, or a proxy's page."""


class RawPage(msgspec.Struct):
    """As the API server has it."""

    metadata: ListMetadata
    items: list[msgspec.Raw] | None = None  # Go writes an empty list as null

    @property
    def continue_token(self) -> str | None:
        return self.metadata.continue_token or None


_decode = msgspec.json.Decoder(RawPage).decode


def read_page(body: bytes, what: str) -> RawPage:
    """Raises UnreadableError; ``what`` was asked."""
    try:
        return _decode(body)
    except UNREADABLE as error:
        raise UnreadableError(what, f"the list cannot be read: {error}") from error
