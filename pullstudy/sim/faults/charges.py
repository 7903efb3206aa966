"""Faults that wait for their moment: how many strikes each has left."""

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F")


class Charges:
    """Loaded faults, each with a number of strikes. The first that fits strikes."""

    def __init__(self) -> None:
        self._loaded: list[tuple[Any, int]] = []

    def load(self, fault: Any, times: int) -> None:
        self._loaded.append((fault, times))

    def clear(self) -> None:
        self._loaded.clear()

    def loaded(self) -> list[Any]:
        return [fault for fault, _ in self._loaded]

    def strike(self, kind: type[F], fits: Callable[[F], bool] = lambda _: True) -> F | None:
        """The first loaded fault of this kind that fits, one strike of it used up; or None."""
        for position, (fault, left) in enumerate(self._loaded):
            if isinstance(fault, kind) and fits(fault):
                if left <= 1:
                    del self._loaded[position]
                else:
                    self._loaded[position] = (fault, left - 1)
                return fault
        return None
