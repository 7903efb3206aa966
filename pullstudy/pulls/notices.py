"""What an edge says while it goes on trying: the protocol, so that it need not know who writes the log."""

from typing import Protocol


class Notices(Protocol):
    """One line a call. An error says that somebody has to act, a warning that something is not as it should be."""

    def info(self, message: str, **fields: object) -> None: ...

    def warning(self, message: str, **fields: object) -> None: ...

    def error(self, message: str, **fields: object) -> None: ...
