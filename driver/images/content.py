"""Files' bytes, the same for the same key: noise that nothing compresses, and zeros, in the mixture asked for.

The noise is SHAKE128's (FIPS 202), which no version of any library changes.
"""

import hashlib

_PAGE = 4096  # the mixture is even down to this many bytes
_ZEROS = bytes(_PAGE)


class Mixture:
    """A stream of bytes, of which a changing share is noise."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._pieces = 0
        self.noise_bytes = 0  # so far

    def take(self, size: int, share: float) -> bytes:
        """The next ``size`` bytes, of which ``share``, from 0 to 1, is noise, as even as whole bytes can be."""
        noise_size = round(size * share)
        noise = hashlib.shake_128(f"{self._key}/{self._pieces}".encode()).digest(noise_size)
        self._pieces += 1
        self.noise_bytes += noise_size
        return b"".join(_pages(noise, size)) if noise_size < size else noise


def _pages(noise: bytes, size: int) -> list[bytes]:
    pages, used = [], 0
    for begin in range(0, size, _PAGE):
        end = min(begin + _PAGE, size)
        until = len(noise) * end // size
        pages.append(noise[used:until])
        pages.append(_ZEROS[: end - begin - (until - used)])
        used = until
    return pages
