"""What the collector says while it runs: one line an event, as text for people or as JSON for machines."""

import asyncio
import sys
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import msgspec

from collector.clock import Clock
from pullstudy.pulls.printable import printable


class Format(StrEnum):
    """How a line looks."""

    TEXT = "text"
    JSON = "json"


class Level(StrEnum):
    """How much a line matters. A warning says that something may be missing, or soon will be."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _stderr(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


class Log:
    """Writes one line for each call."""

    def __init__(self, clock: Clock, form: Format = Format.TEXT, write: Callable[[str], None] = _stderr) -> None:
        self._clock = clock
        self._form = form
        self._write = write

    def info(self, message: str, **fields: object) -> None:
        self._say(Level.INFO, message, fields)

    def warning(self, message: str, **fields: object) -> None:
        self._say(Level.WARNING, message, fields)

    def error(self, message: str, **fields: object) -> None:
        self._say(Level.ERROR, message, fields)

    def _say(self, level: Level, message: str, fields: dict[str, object]) -> None:
        at = self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        if self._form is Format.JSON:
            shown = {name: printable(value) if isinstance(value, str) else value for name, value in fields.items()}
            line = {"at": at, "level": level, "message": printable(message), **shown}
            self._write(msgspec.json.encode(line).decode())
        else:
            mark = "" if level is Level.INFO else f"{level.upper()}: "
            told = "".join(f" {name}={value}" for name, value in fields.items())
            self._write(printable(f"{at} {mark}{message}{told}"))


def say_failures_nobody_awaits(log: Log) -> None:
    """In the running event loop: a client's request that failed after it was given up is one line, no traceback.

    aiokafka shields a commit from being cancelled, and its failure then finds nobody. What is no failure of a network
    is a bug, and keeps its traceback.
    """

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        # KafkaError by its base: the client itself may not be loaded.
        if isinstance(error, OSError) or any(kind.__name__ == "KafkaError" for kind in type(error).__mro__):
            log.info(f"a request that was given up has failed: {type(error).__name__}: {error}")
        else:
            loop.default_exception_handler(context)

    asyncio.get_running_loop().set_exception_handler(handle)
