"""What a file holds that cannot be read: the first of it kept, the rest counted."""

from pullstudy.pulls.batch import Reject
from pullstudy.pulls.printable import printable

MOST_REJECTS = 10_000  # of a file that are kept,
MOST_BYTES = 16 << 20  # and of their text
_LONGEST_RAW = 64 << 10
_LONGEST_PROBLEM = 300
_FIRST = 100  # that whoever imports is given
_WAITING_BYTES = 4 << 20  # before they should be written


class KeptRejects:
    """Of one file. ``first`` are some of them, ``total`` is how many there are, ``unkept`` how many only counted."""

    def __init__(self, cluster: str, source: str) -> None:
        self._cluster = cluster
        self._source = printable(source)
        self._waiting: list[Reject] = []
        self._waiting_bytes = self._bytes = self._kept = 0
        self.first: list[Reject] = []
        self.total = 0

    @property
    def unkept(self) -> int:
        return self.total - self._kept

    def add(self, line: int, problem: str, raw: bytes) -> bool:
        """Whether so many wait that they should be taken."""
        self.total += 1
        if self._kept >= MOST_REJECTS or self._bytes >= MOST_BYTES:
            return False
        self._kept += 1
        text = _text(raw)
        self._bytes += len(text)
        self._waiting_bytes += len(text)
        self._keep(str(line), printable(problem[:_LONGEST_PROBLEM]), text)
        return self._waiting_bytes >= _WAITING_BYTES

    def end(self) -> None:
        """Nothing more comes: what was only counted is said in one more."""
        if self.unkept:
            self._keep("", f"{self.unkept} more of this file were counted and not kept", "")

    def _keep(self, position: str, problem: str, raw: str) -> None:
        reject = Reject(cluster=self._cluster, source=self._source, position=position, problem=problem, raw=raw)
        self._waiting.append(reject)
        if len(self.first) < _FIRST and position:
            self.first.append(reject)

    def taken(self) -> tuple[Reject, ...]:
        """Those that wait, which now do no longer."""
        taken, self._waiting, self._waiting_bytes = tuple(self._waiting), [], 0
        return taken


def _text(raw: bytes) -> str:
    text = raw[:_LONGEST_RAW].decode(errors="replace")
    return text if len(raw) <= _LONGEST_RAW else f"{text} ... (cut: {len(raw)} bytes in all)"
