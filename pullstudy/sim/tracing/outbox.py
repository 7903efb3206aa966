"""Spans that wait to be sent: filled in virtual time, emptied in real time."""

from collections import deque
from collections.abc import Callable


class SpanOutbox:
    """Pieces of ExportTraceServiceRequests, in the order in which they were made."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self.size_bytes = 0
        self.wanted = False  # whether anyone is to get them: else none are made
        self.on_change: Callable[[], object] = lambda: None

    def put(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self.size_bytes += len(piece)
        self.on_change()

    def take(self, most_bytes: int) -> bytes:
        """The next request, of one piece at least; empty where nothing waits."""
        taken: list[bytes] = []
        size = 0
        while self._pieces and (not taken or size + len(self._pieces[0]) <= most_bytes):
            taken.append(self._pieces.popleft())
            size += len(taken[-1])
        self.size_bytes -= size
        return b"".join(taken)
