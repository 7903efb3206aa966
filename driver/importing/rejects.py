"""What a file holds that cannot be read: the first of it kept, the rest counted."""

from collections import Counter

import msgspec

from pullstudy.pulls.batch import Reject
from pullstudy.pulls.printable import printable

MOST_REJECTS = 10_000  # of a file that are kept,
MOST_BYTES = 16 << 20  # and of their text
_LONGEST_RAW = 64 << 10
_LONGEST_PROBLEM = 300
_FIRST = 100  # that whoever imports is given
_WAITING_BYTES = 4 << 20  # before they should be written
_MOST_REASONS = 100  # different ones that are counted apart
OTHER_REASONS = "other reasons"


class KeptRejects:
    """Of one file. ``first`` are some of them, ``reasons`` counts all, ``unkept`` is how many are only counted."""

    def __init__(self, cluster: str, source: str) -> None:
        self._cluster = cluster
        self._source = printable(source)
        self._waiting: list[Reject] = []
        self._waiting_bytes = self._bytes = self._kept = 0
        self.first: list[Reject] = []
        self.reasons: Counter[str] = Counter()

    @property
    def unkept(self) -> int:
        return self.reasons.total() - self._kept

    def add(self, line: int, problem: str, raw: bytes, member: str = "") -> bool:
        """Whether so many wait that they should be taken. ``member`` is of an archive."""
        self.count(problem)
        if self._kept >= MOST_REJECTS or self._bytes >= MOST_BYTES:
            return False
        self._kept += 1
        text = _text(raw)
        self._bytes += len(text)
        self._waiting_bytes += len(text)
        self._keep(str(line), printable(problem[:_LONGEST_PROBLEM]), text, member)
        return self._waiting_bytes >= _WAITING_BYTES

    def end(self) -> None:
        """Nothing more comes: what was only counted is said in one more."""
        if self.unkept:
            self._keep("", f"{self.unkept} more of this file were counted and not kept", "")

    def count(self, problem: str, times: int = 1) -> None:
        """Without keeping it."""
        reason = printable(problem[:_LONGEST_PROBLEM])
        known = reason in self.reasons or len(self.reasons) < _MOST_REASONS
        self.reasons[reason if known else OTHER_REASONS] += times

    def _keep(self, position: str, problem: str, raw: str, member: str = "") -> None:
        source = f"{self._source}/{printable(member)}" if member else self._source
        reject = Reject(cluster=self._cluster, source=source, position=position, problem=problem, raw=raw)
        self._waiting.append(reject)
        if len(self.first) < _FIRST and position:
            self.first.append(reject)

    def taken(self) -> tuple[Reject, ...]:
        """Those that wait, which now do no longer."""
        taken, self._waiting, self._waiting_bytes = tuple(self._waiting), [], 0
        return taken


class HeldReject(msgspec.Struct, frozen=True):
    """One that is kept or not by what comes behind it."""

    line: int
    problem: str
    raw: bytes


class HeldRejects:
    """Of a member of an archive, as long as nothing in it is understood: bundles hold much that is no log."""

    def __init__(self) -> None:
        self.first: list[HeldReject] = []
        self.more: Counter[str] = Counter()  # by problem

    def add(self, line: int, problem: str, raw: bytes) -> None:
        if len(self.first) < _FIRST:
            self.first.append(HeldReject(line, problem, raw[: _LONGEST_RAW + 1]))
        elif problem in self.more or len(self.more) < _MOST_REASONS:
            self.more[problem] += 1
        else:
            self.more[OTHER_REASONS] += 1


def _text(raw: bytes) -> str:
    text = raw[:_LONGEST_RAW].decode(errors="replace")
    return text if len(raw) <= _LONGEST_RAW else f"{text} ... (cut: {len(raw)} bytes in all)"
