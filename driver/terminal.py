"""Lines to a stream whose reader may leave: a pipe that is closed, a terminal that hangs up.

A sweep outlives whoever read it: neither must cost a cluster its jobs, nor keep one from being taken down.
"""

import errno
import io
import os
from typing import TextIO

_LEFT = (errno.EPIPE, errno.EIO)  # the latter: of a terminal after its hang-up (Linux, tty_hung_up_p)


def write_text(stream: TextIO, text: str) -> None:
    """Write and flush; once the reader has left, all goes to nowhere. Raises OSError for other reasons."""
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        if error.errno not in _LEFT:
            raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class LeavableStream(io.StringIO):
    """``write_text`` as a file, for what wants one; nothing is kept."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def write(self, text: str) -> int:
        write_text(self._stream, text)
        return len(text)

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()
