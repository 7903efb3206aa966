"""What nobody thought of, met while a server's answers are read: said once, and the work goes on."""

from typing import Protocol

import msgspec

BUGS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    LookupError,
    NameError,
    RuntimeError,
    TypeError,
    ValueError,
    msgspec.MsgspecError,
)
"""What no part raises on purpose. Errors that tell of something are of classes of their own, and cancellation of none
of these."""


class Bugs(Protocol):
    """Where they are told."""

    def found(self, doing: str, error: Exception) -> None:
        """Never raises. ``doing`` is what went wrong, in a few words."""
        ...
