"""The collector on a real API server: whatever was acknowledged to a writer is stored, each once.

The oracle is the writer's log of every (uid, count) that the API server acknowledged. The numbers in brackets are the
cases of the list of faults.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import pytest_asyncio

from tests.real.collecting import Collector
from tests.real.load import Acknowledged, EventWriter, Identity, Load, backed_off, event_writer, pulled
from tests.real.relay import Relay
from tests.stack.access import ApiRefusedError
from tests.stack.control_plane import ControlPlane
from tests.stack.home import StackHome
from tests.stack.wait import until

pytestmark = pytest.mark.real

RULES = [
    {"apiGroups": [""], "resources": ["events", "pods"], "verbs": ["list", "watch"]},
    {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["kube-system"], "verbs": ["get"]},
]
ALONE = ["--no-reconcile"]  # these are about the watch of events
WAIT_SECONDS = 60
NODES = 32
USERS = ("withdrawn", "throttled")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(stack_home: StackHome, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ControlPlane]:
    """An API server of these tests' own, to kill."""
    directory = tmp_path_factory.mktemp("cluster")
    async with ControlPlane(stack_home, directory, users=USERS, controllers=False) as plane:
        yield plane


@pytest_asyncio.fixture
async def place(cluster: ControlPlane) -> str:
    """A namespace of the test's own."""
    return await make_namespace(cluster, f"t-{time.time_ns():x}")


async def make_namespace(cluster: ControlPlane, name: str) -> str:
    await cluster.access.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    return name


def through(relay: Relay, kubeconfig: Path) -> Path:
    """The same kubeconfig by way of the relay."""
    content = json.loads(kubeconfig.read_text())
    content["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{relay.port}"
    path = kubeconfig.with_name(f"relay-{relay.port}-{kubeconfig.name}")
    path.write_text(json.dumps(content))
    return path


def relay_to(cluster: ControlPlane) -> Relay:
    url = urlsplit(cluster.url)
    return Relay(str(url.hostname), int(url.port or 443))


async def at_least(acknowledged: Acknowledged, count: int) -> None:
    async def enough() -> bool:
        return len(acknowledged.identities) >= count

    await until(enough, WAIT_SECONDS, f"{count} acknowledged events")


async def agrees(collector: Collector, acknowledged: set[Identity], place: str) -> None:
    """0 missing, 0 surplus; also after the collector has ended."""
    await collector.until_stored(acknowledged, place)
    await collector.stop()
    assert collector.stored(place) - acknowledged == set(), "nothing was stored that nobody wrote"
    assert acknowledged - collector.stored(place) == set()


async def count_up(writer: EventWriter, place: str, times: int, pause_seconds: float = 0.0) -> Identity:
    """A BackOff event that is updated in place; its uid and last count."""
    event = await writer.create(backed_off("backoff", time.time_ns() % 100_000, NODES, place, time.time()))
    for _ in range(times - 1):
        await asyncio.sleep(pause_seconds)
        event = await writer.count_up(event, datetime.now(UTC))
    return (event["metadata"]["uid"], event["count"])


# Kills


@pytest.mark.timeout(400)
async def test_every_acknowledged_event_is_stored_once_through_kills_of_server_and_collector(
    cluster: ControlPlane, place: str, tmp_path: Path
) -> None:
    """[1] What is seen twice is one record, and no version is skipped: no gap is told."""
    collector = Collector(cluster.access.kubeconfig(), tmp_path)
    load = Load(events=1_000, nodes=NODES, burst_events=40, every_seconds=0.5, concurrency=8)
    async with event_writer(cluster.access.kubeconfig(), place) as writer, collector:
        acknowledged = writer.acknowledged
        async with asyncio.TaskGroup() as group:
            group.create_task(writer.write(load))
            group.create_task(count_up(writer, place, 60, 0.2))
            for kill_at in (100, 300):
                await at_least(acknowledged, kill_at)
                collector.kill()
                await collector.start()
            await at_least(acknowledged, 500)
            await cluster.api_server.restart()
            await at_least(acknowledged, 700)
            collector.kill()
            cluster.api_server.kill()
            cluster.etcd.kill()
            await cluster.start()
            await collector.start()
        await agrees(collector, acknowledged.identities, place)
    assert len(acknowledged.identities) == 1_000 + 60
    assert collector.gaps() == []


async def test_two_collectors_of_which_one_is_killed_have_equal_records_and_none_twice(
    cluster: ControlPlane, place: str, tmp_path: Path
) -> None:
    """[23] Each has a data directory of its own; written into one store they are one set."""
    first, second = (Collector(cluster.access.kubeconfig(), tmp_path, name=name) for name in ("first", "second"))
    load = Load(events=300, nodes=NODES, burst_events=30, every_seconds=0.25, concurrency=8)
    async with event_writer(cluster.access.kubeconfig(), place) as writer, first, second:
        async with asyncio.TaskGroup() as group:
            group.create_task(writer.write(load))
            await at_least(writer.acknowledged, 100)
            first.kill()
            await at_least(writer.acknowledged, 200)
            await first.start()
        for collector in (first, second):
            await agrees(collector, writer.acknowledged.identities, place)
    merged = {record.identity: record for record in first.records(place)}
    for record in second.records(place):
        assert merged.setdefault(record.identity, record) == record, "both read the same event in the same way"
    assert {(uid, count) for _, uid, count in merged} == writer.acknowledged.identities


# Resource versions


async def test_what_was_updated_while_the_collector_was_dead_is_replayed_within_the_window(
    cluster: ControlPlane, place: str, tmp_path: Path
) -> None:
    """[9] The watch goes on at its version, and brings each count that there was."""
    collector = Collector(cluster.access.kubeconfig(), tmp_path)
    async with event_writer(cluster.access.kubeconfig(), place) as writer, collector:
        first = await writer.create(backed_off("backoff", 1, NODES, place, time.time()))
        await collector.until_stored(writer.acknowledged.identities, place)
        collector.kill()
        for _ in range(5):
            first = await writer.count_up(first, datetime.now(UTC))
        await collector.start()
        await agrees(collector, writer.acknowledged.identities, place)
    assert {count for _, count in collector.stored(place)} == {1, 2, 3, 4, 5, 6}
    assert collector.gaps() == []


async def test_after_compaction_only_the_unseen_are_new_and_the_gap_is_recorded(
    cluster: ControlPlane, place: str, tmp_path: Path
) -> None:
    """[2, 9] Of an event updated unseen the last count is known, and that others may be missing is told."""
    collector = Collector(cluster.access.kubeconfig(), tmp_path)
    async with event_writer(cluster.access.kubeconfig(), place) as writer, collector:
        await writer.write(Load(events=60, nodes=NODES, job="before"))
        backoff = await writer.create(backed_off("backoff", 1, NODES, place, time.time()))
        before = set(writer.acknowledged.identities)
        await collector.until_stored(before, place)
        collector.kill()
        await writer.write(Load(events=40, nodes=NODES, job="while-dead"))
        uid, last = await _counted_up_to(writer, backoff, 6)
        await cluster.forget_history()
        await collector.start()
        unseen = {(uid, count) for count in range(2, last)}
        await agrees(collector, writer.acknowledged.identities - unseen, place)
    (gap,) = collector.gaps()
    assert gap.from_version
    assert int(gap.to_version) > int(gap.from_version), "etcd's versions are numbers that grow"
    assert "410" in gap.why
    records = collector.records(place)
    assert len({record.event_uid for record in records}) == 60 + 40 + 1
    assert len(records) == 60 + 40 + 2, "the BackOff's first and last count"


async def _counted_up_to(writer: EventWriter, event: dict[str, object], last: int) -> Identity:
    while event["count"] != last:
        event = await writer.count_up(event, datetime.now(UTC))
    metadata = event["metadata"]
    assert isinstance(metadata, dict)
    return (metadata["uid"], last)


async def test_a_server_killed_and_compacted_behind_the_collectors_back_is_listed_anew(
    cluster: ControlPlane, place: str, tmp_path: Path
) -> None:
    """[2, 7] The collector lives on, and finds that its version is gone."""
    collector = Collector(cluster.access.kubeconfig(), tmp_path)
    async with event_writer(cluster.access.kubeconfig(), place) as writer, collector:
        await writer.write(Load(events=30, nodes=NODES, job="before"))
        await collector.until_stored(writer.acknowledged.identities, place)
        collector.process.freeze()
        await cluster.api_server.restart()
        await writer.write(Load(events=30, nodes=NODES, job="after"))
        await cluster.forget_history()
        collector.process.thaw()
        await collector.until_stored(writer.acknowledged.identities, place)
        await writer.write(Load(events=30, nodes=NODES, job="live"))
        await agrees(collector, writer.acknowledged.identities, place)
    assert len(collector.gaps()) == 1


async def test_a_cut_connection_goes_on_at_its_version_without_a_list(
    cluster: ControlPlane, place: str, tmp_path: Path
) -> None:
    """[6, 7] Ten resets, and one list in all."""
    async with relay_to(cluster) as relay, event_writer(cluster.access.kubeconfig(), place) as writer:
        collector = Collector(through(relay, cluster.access.kubeconfig()), tmp_path)
        async with collector:
            for number in range(10):
                await writer.write(Load(events=20, nodes=NODES, job=f"round-{number}"))
                relay.cut()
            await agrees(collector, writer.acknowledged.identities, place)
    assert collector.said("status")[-1].count(" lists=1 ") == 1
    assert collector.gaps() == []


async def test_a_checkpoint_of_a_later_state_of_the_cluster_is_noticed(
    own_control_plane: ControlPlane, tmp_path: Path
) -> None:
    """[3] etcd is put back to an older copy, as after a restore: its version is behind the checkpoint."""
    plane = own_control_plane
    place = await make_namespace(plane, "restored")
    collector = Collector(plane.access.kubeconfig(), tmp_path)
    async with event_writer(plane.access.kubeconfig(), place) as writer:
        await writer.write(Load(events=20, nodes=NODES, job="kept"))
        kept = set(writer.acknowledged.identities)
        await plane.stop()
        data = plane.directory / "etcd"
        await _copy(data, tmp_path / "copy")
        await plane.start()
        async with collector:
            await writer.write(Load(events=20, nodes=NODES, job="undone"))
            undone = writer.acknowledged.identities - kept
            await collector.until_stored(kept | undone, place)
            plane.kill()
            data.rename(tmp_path / "undone")
            await _copy(tmp_path / "copy", data)
            await plane.start()
            await collector.until_said("Too large resource version")
            await writer.write(Load(events=20, nodes=NODES, job="new"))
            await agrees(collector, writer.acknowledged.identities, place)
    assert len(collector.gaps()) == 1


async def _copy(source: Path, target: Path) -> None:
    child = await asyncio.create_subprocess_exec("cp", "-a", str(source), str(target))
    assert await child.wait() == 0


async def test_a_checkpoint_of_another_cluster_is_said_loudly_and_all_is_listed_anew(
    cluster: ControlPlane, own_control_plane: ControlPlane, place: str, tmp_path: Path
) -> None:
    """[3] The same data directory, and a kubeconfig that leads elsewhere."""
    async with event_writer(cluster.access.kubeconfig(), place) as writer:
        await writer.write(Load(events=20, nodes=NODES, job="here"))
        async with Collector(cluster.access.kubeconfig(), tmp_path) as collector:
            await collector.until_stored(writer.acknowledged.identities, place)
            await collector.stop()
    await make_namespace(own_control_plane, place)
    async with event_writer(own_control_plane.access.kubeconfig(), place) as other:
        await other.write(Load(events=20, nodes=NODES, job="there"))
        async with Collector(own_control_plane.access.kubeconfig(), tmp_path) as collector:
            assert len(collector.said("is ANOTHER one than before")) == 1
            both = writer.acknowledged.identities | other.acknowledged.identities
            await agrees(collector, both, place)


# Lists


def asked_for_events(cluster: ControlPlane, user: str, verb: str) -> list[dict[str, list[str]]]:
    """The query of each such request of the user's; of a watch beginning and end are audited both."""
    found = {
        entry["auditID"]: parse_qs(urlsplit(entry["requestURI"]).query)
        for entry in cluster.audited(user)
        if entry["verb"] == verb and entry["objectRef"]["resource"] == "events"
    }
    return list(found.values())


def listed(cluster: ControlPlane, user: str) -> list[dict[str, list[str]]]:
    return asked_for_events(cluster, user, "list")


async def test_a_client_certificate_lets_in(cluster: ControlPlane, place: str, tmp_path: Path) -> None:
    await cluster.access.grant("certified", RULES)
    async with event_writer(cluster.access.kubeconfig(), place) as writer:
        await writer.write(Load(events=1_200, nodes=256))
        async with Collector(cluster.access.certificate_kubeconfig("certified"), tmp_path) as collector:
            await agrees(collector, writer.acknowledged.identities, place)


async def test_clocks_ten_minutes_off_drop_nothing_and_keep_their_times(
    cluster: ControlPlane, place: str, tmp_path: Path
) -> None:
    """[12] Order is by version; an event is never too old."""
    skews = {"slow": -600.0, "right": 0.0, "fast": 600.0, "last-week": -7 * 86_400.0}
    now = float(int(time.time()))
    collector = Collector(cluster.access.kubeconfig(), tmp_path)
    async with event_writer(cluster.access.kubeconfig(), place) as writer, collector:
        for job, skew in skews.items():
            await writer.create(pulled(job, 0, 1, place, now + skew))
        await agrees(collector, writer.acknowledged.identities, place)
    told = {record.job: record.finished_at for record in collector.records(place)}
    assert told == {job: datetime.fromtimestamp(now + skew, UTC) for job, skew in skews.items()}


async def test_events_that_expire_take_no_record_with_them_and_come_again_as_others(
    stack_home: StackHome, tmp_path: Path
) -> None:
    """[11] After its time to live an event is deleted; the next one of its kind has a new uid."""
    options = {"event-ttl": "3s"}
    async with ControlPlane(stack_home, tmp_path / "short", controllers=False, api_server_options=options) as plane:
        place = await make_namespace(plane, "short")
        at = time.time()
        collector = Collector(plane.access.kubeconfig(), tmp_path)
        async with event_writer(plane.access.kubeconfig(), place) as writer, collector:
            event = await writer.create(pulled("again", 0, 1, place, at))
            await writer.write(Load(events=20, nodes=NODES))
            await _none_left(plane, place)
            again = await writer.create(pulled("again", 0, 1, place, at) | {"count": 2})
            await agrees(collector, writer.acknowledged.identities, place)
            assert again["metadata"]["name"] == event["metadata"]["name"]
            assert again["metadata"]["uid"] != event["metadata"]["uid"]
    assert len(collector.records(place)) == 22


async def _none_left(plane: ControlPlane, place: str) -> None:
    async def expired() -> bool:
        return not (await plane.access.request("GET", f"/api/v1/namespaces/{place}/events"))["items"]

    await until(expired, WAIT_SECONDS, "the events to expire")


# Who may come in, and how often

Act = Callable[[], Awaitable[None]]


async def until_answered(cluster: ControlPlane, token: str, status: int) -> None:
    """Return once a list of events with this token is answered so: the API server keeps what it knows for a while."""

    async def is_so() -> bool:
        try:
            await cluster.access.request("GET", "/api/v1/events?limit=1", token=token)
        except ApiRefusedError as error:
            return error.status == status
        return status == 200

    await until(is_so, WAIT_SECONDS, f"answer {status}")


def by_kubeconfig(kubeconfig: Path, directory: Path) -> Callable[[Relay], Collector]:
    """A collector that comes by way of a relay, with this kubeconfig."""
    return lambda relay: Collector(through(relay, kubeconfig), directory, more=ALONE)


async def shut_out(
    cluster: ControlPlane, place: str, make: Callable[[Relay], Collector], *, shut: Act, reopen: Act, says: str
) -> None:
    """A collector whose watch is cut while it may not come in; let in again, it goes on at its version."""
    async with relay_to(cluster) as relay, event_writer(cluster.access.kubeconfig(), place) as writer:
        collector = make(relay)
        async with collector:
            await writer.write(Load(events=20, nodes=NODES, job="before"))
            await collector.until_stored(writer.acknowledged.identities, place)
            await shut()
            relay.cut()
            await collector.until_said(says)
            await writer.write(Load(events=20, nodes=NODES, job="shut-out"))
            await reopen()
            await writer.write(Load(events=20, nodes=NODES, job="after"))
            await agrees(collector, writer.acknowledged.identities, place)
    assert collector.said("status")[-1].count(" lists=1 ") == 1, "no list but the first"
    assert collector.gaps() == [], "no version was skipped"


async def test_a_permission_taken_away_and_given_back_skips_no_version(
    cluster: ControlPlane, place: str, tmp_path: Path
) -> None:
    """[25] Once it has watched, 403 is waited out, and said."""
    access, user = cluster.access, "withdrawn"
    await access.grant(user, RULES)

    async def shut() -> None:
        await access.withdraw(user)
        await until_answered(cluster, access.token(user), 403)

    async def reopen() -> None:
        await access.grant(user, RULES)
        await until_answered(cluster, access.token(user), 200)

    await shut_out(
        cluster, place, by_kubeconfig(access.kubeconfig(user), tmp_path), shut=shut, reopen=reopen, says="403"
    )


async def test_a_service_account_token_that_rotates_in_its_file_is_read_anew(
    cluster: ControlPlane, place: str, tmp_path: Path
) -> None:
    """[25] As a mounted token does: the old one has expired when the watch is cut."""
    access = cluster.access
    await access.grant(await access.service_account("rotating"), RULES)
    file = tmp_path / "token"
    first = await access.service_account_token("rotating", lifetime_seconds=20)
    file.write_text(first)

    async def shut() -> None:
        await until_answered(cluster, first, 401)

    async def reopen() -> None:
        file.write_text(await access.service_account_token("rotating"))

    kubeconfig = access.kubeconfig_with("rotating", {"tokenFile": str(file)})
    await shut_out(cluster, place, by_kubeconfig(kubeconfig, tmp_path), shut=shut, reopen=reopen, says="401")


FLOW = "/apis/flowcontrol.apiserver.k8s.io/v1"
# Of a level without seats the API server still runs one request at a time.
JAIL = {
    "metadata": {"name": "jail"},
    "spec": {
        "type": "Limited",
        "limited": {"nominalConcurrencyShares": 0, "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}},
    },
}


def jailed(user: str) -> dict[str, Any]:
    """A FlowSchema that sends all of the user's requests to that level of priority."""
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}
    rule = {"subjects": [{"kind": "User", "user": {"name": user}}], "resourceRules": [everything]}
    return {
        "metadata": {"name": user},
        "spec": {"priorityLevelConfiguration": {"name": "jail"}, "matchingPrecedence": 100, "rules": [rule]},
    }


async def until_it_governs(cluster: ControlPlane, token: str, schema_uid: str) -> None:
    """Return once a request with this token is told to be under that FlowSchema: it is taken up a while after it is
    made, and a seat that is taken before would be one of another level."""
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def does() -> bool:
            async with session.get(
                f"{cluster.url}/api/v1/events?limit=1", ssl=cluster.access.authority.trust()
            ) as answer:
                return answer.headers.get("X-Kubernetes-PF-FlowSchema-UID") == schema_uid

        await until(does, WAIT_SECONDS, "the FlowSchema to be taken up")


@asynccontextmanager
async def seat_taken(cluster: ControlPlane, user: str, free: asyncio.Event) -> AsyncIterator[None]:
    """A request of the user that takes its seat until it is set free: the rest of its body does not come."""
    review = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    headers = {"Authorization": f"Bearer {cluster.access.token(user)}", "Content-Type": "application/json"}

    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        await free.wait()
        yield b"}"

    async def hold() -> None:
        tls, url = cluster.access.authority.trust(), cluster.url + review
        async with aiohttp.ClientSession() as session:
            while not free.is_set():  # answered before that, it found the seat taken by another of the user's requests
                # Its body is asked for once it has the seat: refused a seat, Go would else wait for all of it first.
                answer = await session.post(url, data=body(), headers=headers, ssl=tls, expect100=True)
                answer.close()  # to leave it in order is to wait for the rest of its body

    async with asyncio.TaskGroup() as group:
        group.create_task(hold())
        try:
            yield
        finally:
            free.set()


async def test_429_of_priority_and_fairness_is_waited_out_without_a_list(
    cluster: ControlPlane, place: str, tmp_path: Path
) -> None:
    """[7] The collector's level of priority has no seat free, and later one."""
    access, user = cluster.access, "throttled"
    await access.grant(user, RULES)
    await access.request("POST", f"{FLOW}/prioritylevelconfigurations", JAIL)
    made = await access.request("POST", f"{FLOW}/flowschemas", jailed(user))
    await until_it_governs(cluster, access.token(user), made["metadata"]["uid"])
    free = asyncio.Event()

    async def reopen() -> None:
        free.set()
        await until_answered(cluster, access.token(user), 200)

    async with AsyncExitStack() as holding:

        async def shut() -> None:
            await holding.enter_async_context(seat_taken(cluster, user, free))
            await until_answered(cluster, access.token(user), 429)

        await shut_out(
            cluster, place, by_kubeconfig(access.kubeconfig(user), tmp_path), shut=shut, reopen=reopen, says="429"
        )


# Lists inside watches, and bookmarks


def watches(cluster: ControlPlane, user: str) -> list[dict[str, list[str]]]:
    return asked_for_events(cluster, user, "watch")


async def lines_of(cluster: ControlPlane, query: dict[str, str], seconds: int = 3) -> list[dict[str, Any]]:
    """All that a watch of events says in so many seconds."""
    headers = {"Authorization": f"Bearer {cluster.access.token()}"}
    tls, url = cluster.access.authority.trust(), f"{cluster.url}/api/v1/events"
    asked = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(seconds), **query}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(url, params=asked, ssl=tls) as answer,
    ):
        return [json.loads(line) for line in (await answer.read()).splitlines()]


async def test_this_api_server_lists_events_inside_a_watch_in_no_order_and_says_where_the_list_ends(
    cluster: ControlPlane, place: str
) -> None:
    """What the collector rests on; events have no watch cache, and are listed so all the same."""
    async with event_writer(cluster.access.kubeconfig(), place) as writer:
        await writer.write(Load(events=120, nodes=NODES))
    lines = await lines_of(cluster, {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"})
    kinds = [line["type"] for line in lines]
    end = kinds.index("BOOKMARK")
    assert set(kinds[:end]) == {"ADDED"}
    assert lines[end]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    versions = [int(line["object"]["metadata"]["resourceVersion"]) for line in lines[:end]]
    assert versions != sorted(versions)
    assert int(lines[end]["object"]["metadata"]["resourceVersion"]) >= max(versions)


async def test_the_collector_takes_its_list_from_the_watch_and_pages_where_that_is_refused(
    cluster: ControlPlane, stack_home: StackHome, place: str, tmp_path: Path
) -> None:
    await cluster.access.grant("streamed", RULES)
    async with event_writer(cluster.access.kubeconfig(), place) as writer:
        await writer.write(Load(events=700, nodes=NODES))
        async with Collector(cluster.access.certificate_kubeconfig("streamed"), tmp_path, more=ALONE) as collector:
            await writer.write(Load(events=20, nodes=NODES, job="live"))
            await agrees(collector, writer.acknowledged.identities, place)
    assert listed(cluster, "streamed") == []
    assert [query.get("sendInitialEvents") for query in watches(cluster, "streamed")] == [["true"]]
    options = {"feature-gates": "WatchList=false"}
    async with ControlPlane(stack_home, tmp_path / "without", controllers=False, api_server_options=options) as plane:
        await make_namespace(plane, place)
        async with event_writer(plane.access.kubeconfig(), place) as writer:
            await writer.write(Load(events=700, nodes=NODES))
            async with Collector(plane.access.kubeconfig(), tmp_path, name="paged", more=ALONE) as collector:
                await agrees(collector, writer.acknowledged.identities, place)
        assert len(listed(plane, "admin")) >= 2
    assert collector.gaps() == []


async def test_this_api_server_sends_no_bookmarks_of_events_and_a_quiet_collector_outlives_that(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    """[4] Asked for, and not sent within a quarter of a minute; other resources' come every minute at most."""
    await until_quiet(cluster)
    version = (await cluster.access.request("GET", "/api/v1/events?limit=1"))["metadata"]["resourceVersion"]
    assert await lines_of(cluster, {"resourceVersion": version}, seconds=15) == []


async def until_quiet(cluster: ControlPlane) -> None:
    """Return when no event was made for a second."""
    versions: list[str] = []

    async def quiet() -> bool:
        page = await cluster.access.request("GET", "/api/v1/events")
        versions.append(str(sorted(item["metadata"]["resourceVersion"] for item in page["items"])))
        return len(versions) > 10 and len(set(versions[-10:])) == 1

    await until(quiet, WAIT_SECONDS, "no event to be made")
