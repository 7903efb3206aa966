"""Lines to a stream whose reader may leave: a pipe that is closed, a terminal that hangs up.

A sweep outlives whoever read it: neither must cost a cluster its jobs, nor keep one from being taken down.
"""

import errno
import os
from collections.abc import Callable, Sequence
from typing import TextIO

_LEFT = (errno.EPIPE, errno.EIO)  # the latter: of a terminal after its hang-up (Linux, tty_hung_up_p)

# Source: ECMA-48, and xterm's ctlseqs for the cursor that is hidden.
_ERASE_BELOW = "\r\x1b[J"
_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


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


class StatusArea:
    """Lines that scroll by and, below them, rows that are painted over. Plain lines as long as nothing is painted.

    Between two writes the cursor stands at the first row. A terminal that is resized lays out anew what it shows, and
    keeps the cursor at the text at which it stood: so no row has to be counted to find what is to be painted over, and
    no line above it can be erased. Each change is one write, by one thread.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rows: Callable[[], Sequence[str]] | None = None

    def say(self, *lines: str) -> None:
        """Lines above the rows, which are painted anew. Raises OSError."""
        if self._rows is None:
            write_text(self._stream, "".join(f"{line}\n" for line in lines))
        else:
            self._paint(lines, self._rows())

    def show(self, rows: Callable[[], Sequence[str]]) -> None:
        """From now on paint these: each shorter than the terminal is wide, and fewer than it has. Raises OSError."""
        self._rows = rows
        write_text(self._stream, _HIDE_CURSOR)
        self.say()

    def clear(self) -> None:
        """Leave the lines alone on the screen. Raises OSError."""
        if self._rows is not None:
            self._rows = None
            write_text(self._stream, _ERASE_BELOW + _SHOW_CURSOR)

    def _paint(self, lines: Sequence[str], rows: Sequence[str]) -> None:
        above = "".join(f"{line}\r\n" for line in lines)
        up = f"\x1b[{len(rows) - 1}A" if len(rows) > 1 else ""
        write_text(self._stream, _ERASE_BELOW + above + "\r\n".join(rows) + up + "\r")


def window(stream: TextIO) -> Callable[[], os.terminal_size]:
    """How large the stream's terminal is now; 80 by 24 where it has not said."""

    def size() -> os.terminal_size:
        try:
            found = os.get_terminal_size(stream.fileno())
        except OSError:  # it is gone, which a write will find too
            found = os.terminal_size((0, 0))
        return found if found.columns and found.lines else os.terminal_size((80, 24))

    return size
