"""The connections of ``--listen``: so many at a time, and each for some seconds.

Whoever reaches the port can open as many as he likes. Each takes a descriptor, and without descriptors the API server
is not reached any more.
"""

import asyncio
import logging

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from pullstudy.pulls.notices import Notices

MOST_CONNECTIONS = 64  # a scraper and a kubelet's probes have some
LIFE_SECONDS = 10.0  # of a connection, with its request and its answer: a probe waits for less
LOOK_SECONDS = 1.0  # between looks at how old they are
LONGEST_LINE = 300
SAY_SECONDS = 60.0  # one line on what was ended, at the most


class Connections:
    """Makes the protocol of each connection that is accepted, and ends those that last."""

    def __init__(self, server: web.Server, notices: Notices) -> None:
        self._server = server
        self._notices = notices
        self._since: dict[object, float] = {}
        self._opening: set[RequestHandler] = set()  # accepted, and not yet known to the server
        self._ending: set[RequestHandler] = set()
        self._ended_early = 0
        self._said_at: float | None = None

    def accept(self) -> RequestHandler:
        """For a connection that was accepted. Where there are enough the oldest one ends: a probe must get through."""
        known = self._server.connections
        self._opening.difference_update(known)
        self._ending.intersection_update(known)
        if len(known) - len(self._ending) + len(self._opening) >= MOST_CONNECTIONS:
            self._end_oldest(known)
        made = self._server()
        self._opening.add(made)
        return made

    def _end_oldest(self, known: list[RequestHandler]) -> None:
        oldest = next((each for each in known if each not in self._ending), None)
        if oldest is not None:
            self._ended_early += 1
            self._ending.add(oldest)
            _end(oldest)

    async def close_old(self) -> None:
        """For ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.close_older_than(LIFE_SECONDS, loop.time())

    def close_older_than(self, seconds: float, now: float) -> None:
        """By how long ago they were first looked at."""
        open_now = self._server.connections
        self._opening.clear()
        self._since = {each: self._since.get(each, now) for each in open_now}
        for each in open_now:
            if now - self._since[each] >= seconds:
                _end(each)
        self._say(now)

    def _say(self, now: float) -> None:
        if self._ended_early and (self._said_at is None or now - self._said_at >= SAY_SECONDS):
            self._notices.warning(
                f"--listen: {self._ended_early} connections were ended early: {MOST_CONNECTIONS} are open at the most"
            )
            self._ended_early, self._said_at = 0, now


def _end(connection: RequestHandler) -> None:
    if connection.transport is not None:
        connection.transport.abort()  # closing waits for who does not read what was answered
    connection.force_close()


def request_log(notices: Notices) -> logging.Logger:
    """What aiohttp says of requests, one line each without a traceback."""
    log = logging.Logger("listen", logging.WARNING)
    log.addHandler(_OneLine(notices))
    return log


class _OneLine(logging.Handler):
    def __init__(self, notices: Notices) -> None:
        super().__init__()
        self._notices = notices

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        why = f": {type(error).__name__}: {error}" if error else ""
        self._notices.warning(f"--listen: {record.getMessage()}{why}".partition("\n")[0][:LONGEST_LINE])
