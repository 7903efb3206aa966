"""Pieces of any length put together to lines."""

MOST_COMMAS = 1_000_000  # of a line or an answer: more values take memory out of all proportion to their bytes
LONGEST_BYTES = 16 << 20  # etcd takes no object over 1.5 MiB: longer is no watch line


class LineTooLongError(Exception):
    """No end of line within LONGEST_BYTES: whatever this is, it is no watch."""


class LineSplitter:
    """Splits a stream of bytes at newlines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that this piece completes, without the empty ones. Raises LineTooLongError."""
        lines = (self._rest + chunk if self._rest else chunk).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > LONGEST_BYTES:
            raise LineTooLongError
        return [line for line in lines if line]

    def rest(self) -> bytes:
        """What came after the last newline."""
        return self._rest
