"""A pseudo-terminal in which a command runs as in a window: it can be typed into, and closed."""

import asyncio
import os
from asyncio.subprocess import Process


class Terminal:
    """For one command, whose session's controlling terminal it is."""

    def __init__(self) -> None:
        self._ours, self._theirs = os.openpty()
        os.set_blocking(self._ours, False)
        self._said = b""

    @property
    def said(self) -> str:
        """All that was written so far."""
        return self._said.decode(errors="replace")

    async def start(self, *words: str, **environment: str) -> Process:
        """What a test runs in may ignore SIGINT and SIGHUP itself; the command does not."""
        end = self._theirs
        process = await asyncio.create_subprocess_exec(
            "setsid", "--ctty", "env", "--default-signal=INT,HUP", *words, stdin=end, stdout=end, stderr=end,
            env={**os.environ, **environment},
        )  # fmt: skip
        os.close(end)
        asyncio.get_running_loop().add_reader(self._ours, self._read)
        return process

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def close(self) -> None:
        """As a window is closed, or a connection is lost."""
        if self._ours >= 0:
            asyncio.get_running_loop().remove_reader(self._ours)
            os.close(self._ours)
            self._ours = -1

    def _read(self) -> None:
        try:
            self._said += os.read(self._ours, 65536)
        except OSError:  # nobody has the other end any more
            asyncio.get_running_loop().remove_reader(self._ours)
