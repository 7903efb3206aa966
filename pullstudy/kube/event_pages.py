"""The events of a namespace or cluster, some at a time: all of a large cluster's would fill the memory at once."""

from collections.abc import AsyncIterator, Awaitable, Callable

from pullstudy.kube.client import Query
from pullstudy.kube.errors import ApiError, TooLargeError
from pullstudy.pulls.event import EventList

GONE = 410

Ask = Callable[[Query], Awaitable[EventList]]
"""One request with this query, and its answer decoded."""


async def event_pages(ask: Ask, query: Query, most_items: int) -> AsyncIterator[EventList]:
    """What the query selects, of at most so many events a page. Raises what ``ask`` does.

    A page that is too large is asked for again at a quarter: whoever may create events may make them huge. Where the
    rest of the list expires meanwhile, all of it comes once more, in one piece.
    """
    items: int = most_items
    token: str | None = None
    while True:
        paged = [*query, ("limit", str(items)), *([("continue", token)] if token else [])]
        try:
            page = await ask(paged)
        except TooLargeError:
            if items == 1:
                raise
            items = max(1, items // 4)
            continue
        except ApiError as error:
            if error.status != GONE or token is None:
                raise
            page = await ask(query)
        yield page
        token = page.continue_token
        if token is None:
            return
