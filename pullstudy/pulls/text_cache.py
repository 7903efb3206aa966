"""What is made of a text, remembered: of short texts only, since whoever may write events chooses their length."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

T = TypeVar("T")
TextReader = Callable[[str], T]

LONGEST_TEXT = 512  # an image's name with its digest, the API's longest name, and some more


def cached_by_text(most: int) -> Callable[[TextReader[T]], TextReader[T]]:
    """A pure function of one text that remembers its last ``most`` answers: 2 kB each at the most."""

    def decorate(read: TextReader[T]) -> TextReader[T]:
        remembered = lru_cache(maxsize=most)(read)

        @wraps(read)
        def answer(text: str) -> T:
            return remembered(text) if len(text) <= LONGEST_TEXT else read(text)

        return answer

    return decorate
