"""A list, some objects at a time: all events, or nodes, of a large cluster would fill the memory at once."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sized
from typing import Protocol, TypeVar

from pullstudy.kube.client import Query
from pullstudy.kube.errors import ApiError, TransportError
from pullstudy.kube.watch_protocol import MOST_PAGES

GONE = 410
MOST_EMPTY_PAGES = 20  # in a row


class Page(Protocol):
    """One page of a list, of items of any kind."""

    @property
    def continue_token(self) -> str | None: ...

    @property
    def items(self) -> Sized | None: ...


P = TypeVar("P", bound=Page)


async def list_pages(ask: Callable[[Query], Awaitable[P]], query: Query, most_items: int) -> AsyncIterator[P]:
    """What the query selects, of at most so many objects a page; ``ask`` makes one request and decodes its answer.

    Raises what ``ask`` does, and TransportError for a list without end.

    A page that is too large, or does not come, is asked for again at a quarter: whoever may create events may make them
    huge. Where the rest of the list expires meanwhile, all of it comes once more, in one piece; where that is too
    large, in pages again, once.
    """
    items: int = most_items
    token: str | None = None
    whole = expired = False
    pages = empty = 0
    while True:
        try:
            page = await ask(query if whole else _paged(query, items, token))
        except ApiError as error:
            if error.status == GONE and token is not None and not expired:
                whole, expired, token = True, True, None
            elif error.may_be_of_size and whole:
                whole = False
            elif error.may_be_of_size and items > 1:
                items = max(1, items // 4)
            else:
                raise
            continue
        yield page
        items = min(items * 2, most_items)
        before, token = token, page.continue_token
        if token is None:
            return
        pages, empty = pages + 1, 0 if page.items else empty + 1
        if token == before or empty > MOST_EMPTY_PAGES or pages >= MOST_PAGES:
            raise TransportError("list", "its pages do not end")


def _paged(query: Query, items: int, token: str | None) -> Query:
    return [*query, ("limit", str(items)), *([("continue", token)] if token else [])]
