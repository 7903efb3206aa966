"""What runtimes told of the inside of pulls, found by the kubelet's event of each: kept in a temporary file."""

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pullstudy.analysis.reading.joined_stages import JoinedStages
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.pulled_layer import PulledLayer
from pullstudy.pulls.record import PullRecord
from pullstudy.store.embedded.store import store_errors

_TABLES = (
    "PRAGMA journal_mode = OFF",
    "CREATE TABLE pulls (cluster, event_uid, count, pull, stages, PRIMARY KEY (cluster, event_uid, count))",
    "CREATE TABLE layers (cluster, pull, layer)",
)


@dataclass(frozen=True, slots=True)
class PullInside:
    """The stages of one pull, and its layers from the lowest up."""

    stages: PullStages
    layers: tuple[PulledLayer, ...]


class PullInsides:
    """Of all pulls. Raises StoreError where its file cannot be read."""

    def __init__(self, file: sqlite3.Connection, directory: Path) -> None:
        self._file = file
        self._directory = directory

    def of(self, pull: PullRecord) -> PullInside | None:
        """None where no runtime told of it."""
        with store_errors(self._directory):
            sql = "SELECT pull, stages FROM pulls WHERE cluster = ? AND event_uid = ? AND count = ?"
            found = self._file.execute(sql, pull.identity).fetchone()
            if found is None:
                return None
            name, stages = found
            sql = "SELECT layer FROM layers WHERE cluster = ? AND pull = ?"
            rows = self._file.execute(sql, (pull.cluster, name)).fetchall()
        layers = [msgspec.msgpack.decode(layer, type=PulledLayer) for (layer,) in rows]
        return PullInside(
            stages=msgspec.msgpack.decode(stages, type=PullStages),
            layers=tuple(sorted(layers, key=lambda layer: (layer.position or 0, layer.layer_digest, layer.repeat))),
        )


@contextmanager
def pull_insides(joined: Iterable[JoinedStages], layers: Iterable[PulledLayer]) -> Iterator[PullInsides]:
    """For as long as the block lasts. Raises StoreError."""
    with tempfile.TemporaryDirectory(prefix="pullstudy-") as name:
        directory = Path(name)
        with closing(sqlite3.connect(directory / "insides.sqlite3")) as file:
            with store_errors(directory):
                for statement in _TABLES:
                    file.execute(statement)
                file.executemany("INSERT INTO pulls VALUES (?, ?, ?, ?, ?)", _pull_rows(joined))
                file.executemany("INSERT INTO layers VALUES (?, ?, ?)", _layer_rows(layers))
                file.execute("CREATE INDEX layers_of_pull ON layers (cluster, pull)")
            yield PullInsides(file, directory)


def _pull_rows(joined: Iterable[JoinedStages]) -> Iterator[tuple[str, str, int, str, bytes]]:
    for each in joined:
        if each.pull is not None:
            yield (*each.pull.identity, each.stages.pull, msgspec.msgpack.encode(each.stages))


def _layer_rows(layers: Iterable[PulledLayer]) -> Iterator[tuple[str, str, bytes]]:
    for layer in layers:
        yield layer.cluster, layer.pull, msgspec.msgpack.encode(layer)
