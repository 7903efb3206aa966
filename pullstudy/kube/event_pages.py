"""The events of a namespace or cluster, some at a time: all of a large cluster's would fill the memory at once."""

from collections.abc import AsyncIterator, Awaitable, Callable

from pullstudy.kube.client import Query
from pullstudy.kube.errors import ApiError
from pullstudy.pulls.event import EventList

GONE = 410

Ask = Callable[[Query], Awaitable[EventList]]
"""One request with this query, and its answer decoded."""


async def event_pages(ask: Ask, query: Query, most_items: int) -> AsyncIterator[EventList]:
    """What the query selects, of at most so many events a page. Raises what ``ask`` does.

    A page that is too large, or does not come, is asked for again at a quarter: whoever may create events may make them
    huge. Where the rest of the list expires meanwhile, all of it comes once more, in one piece; where that is too
    large, in pages again, once.
    """
    items: int = most_items
    token: str | None = None
    whole = expired = False
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
        token = page.continue_token
        if token is None:
            return


def _paged(query: Query, items: int, token: str | None) -> Query:
    return [*query, ("limit", str(items)), *([("continue", token)] if token else [])]
