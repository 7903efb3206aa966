"""What is made of a text, remembered: of short texts only, since whoever may write events chooses their length."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
TextReader = Callable[[str], T]

LONGEST_TEXT = 512  # an image's name with its digest, the API's longest name, and some more


class _Answers(dict[str, T]):
    """Of a reader, by text; all are forgotten when there are too many."""

    def __init__(self, read: TextReader[T], most: int) -> None:
        self._read = read
        self._most = most

    def __missing__(self, text: str) -> T:
        answer = self._read(text)
        if len(text) <= LONGEST_TEXT:
            if len(self) >= self._most:
                self.clear()
            self[text] = answer
        return answer


def cached_by_text(most: int) -> Callable[[TextReader[T]], TextReader[T]]:
    """A pure function of one text that remembers its last answers, up to ``most``: 2 kB each at the most."""

    def decorate(read: TextReader[T]) -> TextReader[T]:
        # The dictionary's own method: three of them are asked for each event, and a function around it would take
        # longer than it does.
        return _Answers(read, most).__getitem__

    return decorate
