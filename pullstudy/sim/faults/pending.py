"""Faults that wait until something happens to which they apply."""

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F")


class PendingFaults:
    """Faults in the order in which they were added, each with how often it still applies."""

    def __init__(self) -> None:
        self._pending: list[tuple[Any, int]] = []

    def add(self, fault: Any, times: int) -> None:
        self._pending.append((fault, times))

    def clear(self) -> None:
        self._pending.clear()

    def all(self) -> list[Any]:
        return [fault for fault, _ in self._pending]

    def take(self, kind: type[F], applies: Callable[[F], bool] = lambda _: True) -> F | None:
        """The first of this kind that applies, counted as used once; or None."""
        for position, (fault, left) in enumerate(self._pending):
            if isinstance(fault, kind) and applies(fault):
                if left <= 1:
                    del self._pending[position]
                else:
                    self._pending[position] = (fault, left - 1)
                return fault
        return None
