"""The ``collector`` command as a process, and what the store that it embeds holds."""

import sqlite3
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any

from pullstudy.pulls.batch import Gap, Reject
from pullstudy.pulls.record import PullRecord
from pullstudy.store.embedded.store import EmbeddedStore
from tests.real.load import Identity
from tests.stack.error import StackError
from tests.stack.process import Process
from tests.stack.server import Lifecycle
from tests.stack.wait import until

CLUSTER = "real"
WATCHING = "watching events of "
START_SECONDS = 60
STORED_SECONDS = 90
STOP_SECONDS = 30


class CollectorCommand(Lifecycle):
    """Started, killed, frozen and stopped as by a user. It is ready when it has said so."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str | Path],
        directory: Path,
        ready: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        program = Path(sys.executable).with_name("collector")
        self.process = Process(name, [program, *arguments], directory, environment=environment)
        self._ready = ready

    async def start(self) -> None:
        """Start it and return when it is ready. Raises StackError with what it said where it does not get there."""
        self.process.start()
        await self.until_said(self._ready, START_SECONDS)

    async def stop(self) -> None:
        """SIGTERM: it drains, and ends with 0."""
        await self.process.stop(timeout_seconds=STOP_SECONDS)
        if self.process.exit_code != 0:
            raise StackError(f"collector ended with {self.process.exit_code}: {self.process.last_words()}")

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def said(self, text: str) -> list[str]:
        """The lines with this text since its last start."""
        return [line for line in self.process.output().splitlines() if text in line]

    async def until_said(self, text: str, deadline_seconds: float = STORED_SECONDS) -> None:
        """Return when a line since its last start has this text. Raises StackError."""

        async def is_said() -> bool:
            if not self.process.running and not self.said(text):
                raise StackError(f"collector ended with {self.process.exit_code}: {self.process.last_words()}")
            return bool(self.said(text))

        await until(is_said, deadline_seconds, f"the collector to say {text!r}")


class Collector(CollectorCommand):
    """Watches a cluster; the same data directory every time."""

    def __init__(
        self,
        kubeconfig: Path,
        directory: Path,
        *,
        name: str = "collector",
        more: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory / name
        options = ["--cluster", CLUSTER, "--kubeconfig", str(kubeconfig), "--data-dir", str(self.directory)]
        super().__init__(name, [*options, *more], directory, WATCHING, environment)

    def stored(self, namespace: str) -> set[Identity]:
        """The identities of the namespace's pulls."""
        sql = "SELECT event_uid, count FROM pull_records WHERE namespace = ?"
        return {(uid, count) for uid, count in self._rows(sql, namespace)}

    async def until_stored(self, wanted: Iterable[Identity], namespace: str) -> None:
        """Return when the store has all of these. Raises StackError with how many are missing."""
        identities = set(wanted)
        missing = identities

        async def all_there() -> bool:
            nonlocal missing
            missing = identities - self.stored(namespace)
            return not missing

        try:
            await until(all_there, STORED_SECONDS, f"{len(identities)} records")
        except StackError as error:
            raise StackError(f"{error}; {len(missing)} missing, such as {sorted(missing)[:3]}") from None

    def records(self, namespace: str) -> list[PullRecord]:
        """The namespace's pulls."""
        store = EmbeddedStore(self.directory, create=False)
        try:
            return [record for record in store.pulls() if record.namespace == namespace]
        finally:
            store.close_now()

    def gaps(self) -> list[Gap]:
        """The stretches that it did not watch."""
        store = EmbeddedStore(self.directory, create=False)
        try:
            return list(store.gaps())
        finally:
            store.close_now()

    def rejects(self) -> list[Reject]:
        """What it could not read, or not all of."""
        store = EmbeddedStore(self.directory, create=False)
        try:
            return list(store.rejects())
        finally:
            store.close_now()

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        uri = f"file:{self.directory / 'study.sqlite3'}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=10)) as connection:
            return connection.execute(sql, values).fetchall()
