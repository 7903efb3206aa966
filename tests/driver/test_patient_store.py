"""A store that is away: asked again, said once, given up at the study's limit. Time is the test's."""

import asyncio
from collections.abc import Sequence

import pytest

from driver.errors import LimitError
from driver.recording.patient_store import PatientStore
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.record import PullRecord
from pullstudy.store.protocol import AbandonedJob, Identity, StoreError
from tests.driver.kube_objects import pulled


class Absent:
    """A store that does not answer until the clock says so; what it writes it may keep for itself for ever."""

    def __init__(self, back_at: float) -> None:
        self.clock = 0.0
        self.asked = 0
        self.notes: list[str] = []
        self._back_at = back_at

    async def sleep(self, seconds: float) -> None:
        self.clock += seconds

    def _ask(self) -> None:
        self.asked += 1
        if self.clock < self._back_at:
            raise StoreError("InfluxDB http://influx:8086: no answer within 60 s")

    async def job_pulls(self, cluster: str, run: str | None, job: str) -> list[PullRecord]:
        self._ask()
        return [pulled(0)]

    async def identities(self, cluster: str, run: str | None) -> set[Identity]:
        self._ask()
        return {("event-0", 1)}

    async def write(self, batch: Batch) -> int:
        await asyncio.Event().wait()
        return 0

    async def abandon(self, jobs: Sequence[AbandonedJob]) -> None:
        if self.clock < self._back_at:
            await asyncio.Event().wait()

    def patient(self, limit_seconds: float = 600.0) -> PatientStore:
        return PatientStore(
            self,
            "InfluxDB http://influx:8086",
            limit_seconds,
            self.notes.append,
            sleep=self.sleep,
            monotonic=lambda: self.clock,
        )


async def test_a_store_that_answers_is_asked_once_and_nothing_is_said() -> None:
    store = Absent(back_at=0.0)
    assert await store.patient().job_pulls("c", "r", "j") == [pulled(0)]
    assert await store.patient().identities("c", "r") == {("event-0", 1)}
    assert (store.asked, store.notes) == (2, [])


async def test_a_store_that_is_away_is_asked_again_ever_more_slowly_and_said_once() -> None:
    store = Absent(back_at=300.0)
    assert await store.patient().job_pulls("c", "r", "j") == [pulled(0)]
    assert 300 <= store.clock < 320
    assert store.asked < 30
    assert store.notes == [
        "InfluxDB http://influx:8086: no answer within 60 s; asked again for up to 600 s",
        f"InfluxDB http://influx:8086 answers again after {store.clock:.0f} s",
    ]


async def test_a_store_that_stays_away_ends_the_sweep_at_the_limit() -> None:
    store = Absent(back_at=1_000.0)
    limit = r"waited for 600 s \(limits.store_seconds\): InfluxDB .*: no answer within 60 s"
    with pytest.raises(LimitError, match=limit):
        await store.patient().identities("c", "r")
    assert store.clock == 600.0


async def test_what_waits_by_itself_for_ever_is_given_up_at_the_limit_too() -> None:
    store = Absent(back_at=1.0)
    with pytest.raises(LimitError, match=r"waited for 0 s \(limits.store_seconds\): took nothing"):
        await store.patient(limit_seconds=0.01).write(Batch())
    with pytest.raises(LimitError):
        await store.patient(limit_seconds=0.01).abandon([])
    store.clock = 1.0
    await store.patient().abandon([])
