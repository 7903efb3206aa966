"""Lists of events, page by page, whatever the events hold and however long they take."""

from collections.abc import Sequence

import pytest

from pullstudy.kube.errors import ApiError, IncompleteError, StatusError, TooLargeError, TransportError
from pullstudy.kube.list_pages import list_pages
from pullstudy.kube.status import Status
from pullstudy.pulls.event import Event, EventList, Metadata


class Server:
    """Events of some size each, of which an answer may hold so many bytes; what it was asked."""

    def __init__(
        self,
        sizes: Sequence[int],
        most_bytes: int,
        *,
        expires_at: int | None = None,
        error: ApiError | None = None,
        offers_newer: bool = False,
    ) -> None:
        """``expires_at``: from which place on a token is too old; a newer one says ``newer`` and the place."""
        self.asked: list[tuple[int | None, int]] = []  # the limit, and where the page begins
        self._sizes = sizes
        self._most_bytes = most_bytes
        self._expires_at = expires_at
        self._offers_newer = offers_newer
        self._error = error or TooLargeError("list", "too large")

    async def ask(self, query: Sequence[tuple[str, str]]) -> EventList:
        words = dict(query)
        token = words.get("continue", "0")
        start, limit = int(token.removeprefix("newer ")), int(words["limit"]) if "limit" in words else None
        self.asked.append((limit, start))
        if start and self._expires_at is not None and start >= self._expires_at and not token.startswith("newer"):
            newer = f"newer {start}" if self._offers_newer else None
            raise StatusError("list", Status(410, "the continue token is too old", continue_token=newer))
        stop = len(self._sizes) if limit is None else min(len(self._sizes), start + limit)
        if sum(self._sizes[start:stop]) > self._most_bytes:
            raise self._error
        more = str(stop) if stop < len(self._sizes) else None
        items = [Event(reason=str(number)) for number in range(start, stop)]
        return EventList(metadata=Metadata(continue_token=more), items=items)


async def listed(server: Server, most_items: int) -> list[str | None]:
    return [
        event.reason async for page in list_pages(server.ask, [("a", "b")], most_items) for event in page.items or ()
    ]


async def test_pages_follow_each_other_to_the_last() -> None:
    server = Server([1] * 5, 100)
    assert await listed(server, 2) == ["0", "1", "2", "3", "4"]
    assert server.asked == [(2, 0), (2, 2), (2, 4)]


async def test_a_page_that_is_too_large_is_asked_for_again_in_quarters_and_nothing_is_left_out() -> None:
    server = Server([1, 1, 90, 90, 1, 1, 1, 1, 1], 100)
    assert await listed(server, 8) == [str(number) for number in range(9)]
    assert [limit for limit, _ in server.asked][:3] == [8, 2, 4]


@pytest.mark.parametrize(
    "error",
    [IncompleteError("list", "cut"), *(StatusError("list", Status(code, "no")) for code in (500, 502, 503, 504))],
    ids=str,
)
async def test_so_is_a_page_that_the_server_does_not_bring_to_its_end(error: ApiError) -> None:
    assert await listed(Server([40] * 9, 100, error=error), 8) == [str(number) for number in range(9)]


@pytest.mark.parametrize(
    "error",
    [
        TransportError("list", "connection refused"),
        *(StatusError("list", Status(code, "no")) for code in (401, 403, 429)),
        StatusError("list", Status(504, "Too large resource version: 900, current: 100")),
    ],
    ids=str,
)
async def test_what_no_smaller_page_mends_is_asked_for_once(error: ApiError) -> None:
    server = Server([40] * 9, 100, error=error)
    with pytest.raises(ApiError):
        await listed(server, 8)
    assert server.asked == [(8, 0)]


async def test_one_event_that_is_too_large_by_itself_is_an_error() -> None:
    with pytest.raises(TooLargeError):
        await listed(Server([1, 200], 100), 4)


async def test_where_the_rest_expires_it_comes_at_the_newer_version_that_is_offered() -> None:
    server = Server([30] * 8, 100, expires_at=4, offers_newer=True)
    assert await listed(server, 2) == [str(number) for number in range(8)]
    assert server.asked == [(2, 0), (2, 2), (2, 4), (2, 4), (2, 6), (2, 6)]


async def test_a_server_that_offers_newer_versions_for_ever_is_given_up() -> None:
    class Offering(Server):
        async def ask(self, query: Sequence[tuple[str, str]]) -> EventList:
            if "continue" in dict(query):
                raise StatusError("list", Status(410, "too old", continue_token="newer 4"))
            return await super().ask(query)

    with pytest.raises(ApiError, match="410"):
        await listed(Offering([30] * 8, 100), 2)


async def test_where_nothing_is_offered_all_comes_once_more_in_one_piece() -> None:
    server = Server([1] * 6, 100, expires_at=4)
    assert await listed(server, 2) == ["0", "1", "2", "3", *map(str, range(6))]
    assert server.asked[-1] == (None, 0)


async def test_where_that_is_too_large_it_comes_in_pages_again_once() -> None:
    with pytest.raises(ApiError, match="410"):
        await listed(server := Server([30] * 6, 100, expires_at=4), 2)
    assert server.asked == [(2, 0), (2, 2), (2, 4), (None, 0), (2, 0), (2, 2), (2, 4)]


async def test_a_list_that_has_not_begun_is_not_asked_for_in_one_piece() -> None:
    class Forbidding(Server):
        async def ask(self, query: Sequence[tuple[str, str]]) -> EventList:
            raise StatusError("list", Status(410, "gone"))

    with pytest.raises(ApiError):
        await listed(Forbidding([], 1), 2)
