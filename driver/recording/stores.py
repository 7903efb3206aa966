"""The store of a sweep, by the study's destination: the file in its directory, or InfluxDB."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from random import Random
from typing import NamedTuple

from driver.planning.study import Study
from driver.recording.patient_store import PatientStore
from pullstudy.store.embedded.store import EmbeddedStore
from pullstudy.store.protocol import RecordStore, Store
from pullstudy.store.stores import open_store


class Stores(NamedTuple):
    """``whole`` is for reading a study, ``records`` for a sweep at work: the same place."""

    whole: Store
    records: RecordStore
    publish_phases: Callable[[str], Awaitable[int]] | None = None  # of a cluster whose jobs are over


class PlainNotices:
    """Notices as plain lines."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note

    def info(self, message: str, **fields: object) -> None:
        self._note(message)

    def warning(self, message: str, **fields: object) -> None:
        self._note(message)

    def error(self, message: str, **fields: object) -> None:
        self._note(message)


def open_stores(study: Study, directory: Path, environment: Mapping[str, str], note: Callable[[str], None]) -> Stores:
    """Raises StoreError; an InfluxDB is asked nothing yet."""
    if not study.collect.shared:
        embedded = EmbeddedStore(directory, create=True)
        return Stores(embedded, embedded)
    from driver.recording.phase_publisher import PhasePublisher

    influx = open_store(study.collect.store_settings(environment), PlainNotices(note), Random())
    name = f"InfluxDB {study.collect.influx}"
    patient = PatientStore(influx, name, study.limits.store_seconds, note)
    return Stores(influx, patient, PhasePublisher(influx, directory))
