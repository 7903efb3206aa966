"""What is started, killed and stopped again on the same ports and data: one server of the stack, or several as one."""

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections.abc import Container
from types import TracebackType
from typing import Self

import aiohttp

from tests.stack.error import StackError
from tests.stack.process import Process

POLL_SECONDS = 0.05
ANSWER_SECONDS = 2.0


class Lifecycle(ABC):
    """Started, killed, restarted, stopped, and an asynchronous context of all that."""

    @abstractmethod
    async def start(self) -> None:
        """Start it and return when it is ready.

        Raises StackError with the end of its log if it ends or is not ready in time.
        """

    @abstractmethod
    def kill(self) -> None:
        """SIGKILL, at once."""

    @abstractmethod
    async def stop(self) -> None:
        """SIGTERM, and SIGKILL if that does not help; the data stays."""

    async def restart(self) -> None:
        """Start it again on its ports and data; one that still runs is killed first."""
        self.kill()
        await self.start()

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self.kill()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


class Server(Lifecycle):
    """One process that is ready when it answers; what it serves and how it is asked is the subclass's."""

    ready_seconds = 90.0
    """How long it may take to answer after a start: many times what it takes on two idle cores."""

    def __init__(self, process: Process) -> None:
        self.process = process

    @abstractmethod
    async def is_ready(self) -> bool:
        """Whether it answers now; False while it does not, never an error."""

    async def start(self) -> None:
        """Start it and return when it answers.

        Raises StackError with the end of its log if it ends or does not answer in time.
        """
        self.process.start()
        await self.wait_ready()

    async def wait_ready(self) -> None:
        """Return when it answers.

        Raises StackError with the end of its log if it ends or does not answer in time.
        """
        name, log = self.process.name, self.process.log
        try:
            async with asyncio.timeout(self.ready_seconds):
                while not await self.is_ready():
                    if not self.process.running:
                        code = self.process.exit_code
                        raise StackError(f"{name} ended with {code}; {log} ends with:\n{self.process.last_words()}")
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            said = self.process.last_words()
            raise StackError(
                f"{name} did not answer within {self.ready_seconds:g} s; {log} ends with:\n{said}"
            ) from None

    def kill(self) -> None:
        """SIGKILL, at once."""
        self.process.kill()

    def freeze(self) -> None:
        """SIGSTOP: it keeps its connections and answers nobody."""
        self.process.freeze()

    def thaw(self) -> None:
        """SIGCONT after ``freeze``."""
        self.process.thaw()

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL if that does not help; the data stays."""
        await self.process.stop()


async def answers(url: str, *, tls: ssl.SSLContext | bool = True, statuses: Container[int] = (200,)) -> bool:
    """Whether a GET of the URL is answered now, with one of these statuses."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url, ssl=tls) as response:
            return response.status in statuses
    except (aiohttp.ClientError, TimeoutError):
        return False
