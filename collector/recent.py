"""A memory of the latest keys, bounded: two generations, the older dropped whole when the younger is full."""

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """What was put last under each key, for as long as it is remembered."""

    def __init__(self, keys: int) -> None:
        """``keys`` a generation."""
        self._keys = keys
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: K) -> V | None:
        found = self._young.get(key)
        return self._old.get(key) if found is None else found

    def put(self, key: K, value: V) -> None:
        if len(self._young) >= self._keys and key not in self._young:
            self._old, self._young = self._young, {}
        self._young[key] = value
