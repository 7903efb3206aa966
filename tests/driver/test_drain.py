"""The wait for a finished job's events."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from driver.clusters.cluster_api import ClusterApi
from driver.jobs.drain import Drain
from driver.jobs.pull_events import PullEvents
from driver.planning.study import Limits
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.decode import decode_event
from pullstudy.pulls.event import Event
from pullstudy.store.embedded.ledger import JobRow, Ledger
from pullstudy.store.embedded.store import EmbeddedStore
from tests.driver.kube_events import event_list, pod_event, pulled_event
from tests.driver.kube_objects import ORIGIN
from tests.driver.scripted_api import ScriptedApi, scripted

EVENTS = "/api/v1/namespaces/default/events"
BOTH = {("uid-0", "pull"), ("uid-1", "pull")}
LIMITS = Limits(drain_seconds=5.0, quiet_seconds=2.0)

Api = tuple[ScriptedApi, ClusterApi]


class Clock:
    """Sleeps take no time, are added up, and can do something."""

    def __init__(self) -> None:
        self.slept = 0.0
        self.then: list[Batch] = []
        self.store: EmbeddedStore | None = None
        self.late: list[Event | None] = []  # what the watch brings at each sleep
        self.events: PullEvents | None = None

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        if self.then and self.store is not None:
            self.store.write_now(self.then.pop(0))
        if self.late and self.events is not None and (event := self.late.pop(0)) is not None:
            self.events.take(event)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with scripted(tmp_path) as pair:
        yield pair


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    opened = EmbeddedStore(tmp_path, create=True)
    yield opened
    opened.close_now()


@pytest.fixture
def ledger(tmp_path: Path, store: EmbeddedStore) -> Iterator[Ledger]:
    opened = Ledger(tmp_path, create=True)
    opened.put_job(
        JobRow(
            job="pull-0",
            cluster=ORIGIN.cluster,
            run=ORIGIN.run or "",
            size=2,
            image="image",
            repeat=1,
            attempt=1,
            position=0,
            cache_mode="cold",
        )
    )
    yield opened
    opened.close()


def event(served: dict[str, object]) -> Event:
    return msgspec.convert(served, Event)


def received(*events: dict[str, object], job: str = "pull-0") -> PullEvents:
    """What the watch has brought of the job so far."""
    found = PullEvents(ORIGIN)
    found.begin(job)
    for served in events:
        found.take(event(served))
    return found


def decoded(*events: dict[str, object]) -> Batch:
    found = [decode_event(event(served), ORIGIN) for served in events]
    return Batch(
        pulls=tuple(pull for one in found for pull in one.pulls),
        milestones=tuple(milestone for one in found for milestone in one.milestones),
    )


async def test_it_waits_until_what_came_is_stored(api: Api, store: EmbeddedStore, ledger: Ledger) -> None:
    _, client = api
    events = received(pulled_event(0), pulled_event(1))
    clock = Clock()
    clock.store = store
    clock.then = [decoded(pulled_event(0)), decoded(pulled_event(1))]
    drained = await Drain(client, ledger, store, ORIGIN, LIMITS, events, sleep=clock.sleep).job("pull-0", BOTH)
    assert drained.late == 0
    assert {pull.pod_uid for pull in drained.pulls} == {"uid-0", "uid-1"}
    assert not clock.then


async def test_an_event_that_the_api_gets_late_is_waited_for(api: Api, store: EmbeddedStore, ledger: Ledger) -> None:
    _, client = api
    clock = Clock()
    clock.events = events = received()
    clock.late = [None, None, event(pulled_event(0)), None, event(pulled_event(0)), event(pulled_event(1))]
    store.write_now(decoded(pulled_event(0), pulled_event(1)))
    drained = await Drain(client, ledger, store, ORIGIN, LIMITS, events, sleep=clock.sleep).job("pull-0", BOTH)
    assert drained.late == 0
    assert {pull.pod_uid for pull in drained.pulls} == {"uid-0", "uid-1"}


async def test_what_was_never_sent_is_given_up_after_the_quiet_time(
    api: Api, store: EmbeddedStore, ledger: Ledger
) -> None:
    script, client = api
    script.say(EVENTS, event_list(pulled_event(0)))
    events = received(pulled_event(0))
    store.write_now(decoded(pulled_event(0)))
    clock = Clock()
    drained = await Drain(client, ledger, store, ORIGIN, LIMITS, events, sleep=clock.sleep).job("pull-0", BOTH)
    assert [pull.pod_uid for pull in drained.pulls] == ["uid-0"] * len(drained.pulls)
    assert LIMITS.quiet_seconds <= clock.slept < LIMITS.quiet_seconds + 1.1


async def test_what_a_watch_that_is_away_did_not_bring_is_listed_before_it_is_given_up(
    api: Api, store: EmbeddedStore, ledger: Ledger
) -> None:
    script, client = api
    script.say(EVENTS, event_list(pulled_event(0), pulled_event(1)))
    store.write_now(decoded(pulled_event(0), pulled_event(1)))
    events, clock = received(), Clock()
    drained = await Drain(client, ledger, store, ORIGIN, LIMITS, events, sleep=clock.sleep).job("pull-0", BOTH)
    assert {pull.pod_uid for pull in drained.pulls} == {"uid-0", "uid-1"}
    assert drained.late == 0


async def test_what_the_collector_never_stored_is_taken_from_the_watch(
    api: Api, store: EmbeddedStore, ledger: Ledger
) -> None:
    _, client = api
    events = received(pulled_event(0), pulled_event(1))
    store.write_now(decoded(pulled_event(0)))
    clock = Clock()
    drained = await Drain(client, ledger, store, ORIGIN, LIMITS, events, sleep=clock.sleep).job("pull-0", BOTH)
    assert drained.late == 1
    assert clock.slept >= LIMITS.drain_seconds
    assert [pull.pull_seconds for pull in store.pulls()] == [4.5, 4.5]


async def test_events_of_other_jobs_are_nobodys_business(api: Api, store: EmbeddedStore, ledger: Ledger) -> None:
    _, client = api
    events = received(pulled_event(0), job="pull-1")
    store.write_now(decoded(pulled_event(0)))
    drained = await Drain(client, ledger, store, ORIGIN, LIMITS, events, sleep=Clock().sleep).job("pull-1", set())
    assert (drained.pulls, drained.late) == ([], 0)


async def test_the_last_drain_of_a_cluster_is_of_milestones_too(api: Api, store: EmbeddedStore, ledger: Ledger) -> None:
    script, client = api
    started = pod_event(0, "Started", "Started container pull")
    script.say(EVENTS, event_list(pulled_event(0), started))
    store.write_now(decoded(pulled_event(0)))
    late = await Drain(client, ledger, store, ORIGIN, LIMITS, received(), sleep=Clock().sleep).cluster()
    assert late == 1
    assert {one.moment for one in store.milestones()} == {"pulled", "started"}


async def test_a_list_that_expires_on_its_second_page_is_read_whole(
    api: Api, store: EmbeddedStore, ledger: Ledger
) -> None:
    script, client = api
    first = event_list(pulled_event(0))
    first["metadata"]["continue"] = "more"
    script.say(EVENTS, first)
    script.say(EVENTS, {"code": 410, "reason": "Expired", "message": "the continue token is too old"}, status=410)
    script.say(EVENTS, event_list(pulled_event(0), pulled_event(1)))
    store.write_now(decoded(pulled_event(0), pulled_event(1)))
    assert await Drain(client, ledger, store, ORIGIN, LIMITS, received(), sleep=Clock().sleep).cluster() == 0
    assert len(script.asked) == 3
