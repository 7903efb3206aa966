"""Records in the order of their jobs, taken a job at a time: one query whose rows are sorted on disk where need be."""

from collections.abc import Callable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import Any, Generic

from pullstudy.pulls.kind import R
from pullstudy.store.protocol import JobName

_name: Callable[[Any], JobName] = attrgetter("cluster", "job")


class JobStream(Generic[R]):
    """Made to be asked in order of cluster and job: a job before the one that was taken last begins the query anew."""

    def __init__(self, query: Callable[[], Iterator[R]]) -> None:
        """``query`` has the records of all jobs, by cluster and job."""
        self._query = query
        self._groups: Iterator[tuple[JobName, Iterator[R]]] = iter(())
        self._next: tuple[JobName, Iterator[R]] | None = None
        self._taken: JobName | None = None

    def take(self, job: JobName) -> list[R]:
        """Its records. Those of jobs before it, which nobody took, are passed over."""
        if self._taken is None or job <= self._taken:
            self._groups = groupby(self._query(), key=_name)
            self._next = next(self._groups, None)
        self._taken = job
        while self._next is not None and self._next[0] < job:
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] != job:
            return []
        found = list(self._next[1])
        self._next = next(self._groups, None)
        return found
