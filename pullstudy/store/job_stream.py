"""Rows in the order of their jobs, taken a job at a time."""

from collections.abc import Callable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import Any, Generic, TypeVar

from pullstudy.store.protocol import JobName

T = TypeVar("T")
_name: Callable[[Any], JobName] = attrgetter("cluster", "job")


class JobStream(Generic[T]):
    """Made to be asked in order of cluster and job: a job before the one that was taken last begins the query anew."""

    def __init__(self, query: Callable[[], Iterator[T]]) -> None:
        """``query`` has the rows of all jobs, each with its ``cluster`` and ``job``, in order of both."""
        self._query = query
        self._groups: Iterator[tuple[JobName, Iterator[T]]] = iter(())
        self._next: tuple[JobName, Iterator[T]] | None = None
        self._taken: JobName | None = None

    def take(self, job: JobName) -> tuple[T, ...]:
        """Its rows. Those of jobs before it, which nobody took, are passed over."""
        if self._taken is None or job <= self._taken:
            self._groups = groupby(self._query(), key=_name)
            self._next = next(self._groups, None)
        self._taken = job
        while self._next is not None and self._next[0] < job:
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] != job:
            return ()
        found = tuple(self._next[1])
        self._next = next(self._groups, None)
        return found
