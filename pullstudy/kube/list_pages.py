"""A list, some objects at a time: all events, or nodes, of a large cluster would fill the memory at once."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sized
from typing import Protocol, TypeVar

from pullstudy.kube.client import Query
from pullstudy.kube.errors import ApiError, StatusError, TransportError
from pullstudy.kube.watch_protocol import MOST_PAGES

GONE = 410
MOST_EMPTY_PAGES = 20  # in a row
MOST_TORN = 100  # of one list: how often its rest may be of a newer version


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
    huge. Where the list takes longer than the server remembers, its rest comes at the newer version that is offered:
    what was there all the time is in it. Where nothing is offered, all of it comes once more, in one piece; where that
    is too large, in pages again, once.
    """
    items: int = most_items
    token: str | None = None
    whole = expired = False
    pages = empty = torn = 0
    while True:
        try:
            page = await ask(query if whole else _paged(query, items, token))
        except ApiError as error:
            newer = _newer_token(error) if token is not None and torn < MOST_TORN else None
            if newer is not None:
                token, torn = newer, torn + 1
            elif error.status == GONE and token is not None and not expired:
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


def _newer_token(error: ApiError) -> str | None:
    """What the rest of an expired list can be asked for by."""
    return error.answer.continue_token if isinstance(error, StatusError) and error.status == GONE else None


def _paged(query: Query, items: int, token: str | None) -> Query:
    return [*query, ("limit", str(items)), *([("continue", token)] if token else [])]
