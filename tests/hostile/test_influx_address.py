"""An address that is not InfluxDB's own loses nothing in silence: refused at once, or nothing counts as written."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

from collector import cli as collector_cli
from collector.checks.finding import FindingLevel
from collector.checks.influxdb import InfluxCheck
from collector.settings import SpoolSettings
from collector.spooling.spool import Spool
from driver import cli
from pullstudy.pulls.backoff import Backoff
from pullstudy.pulls.batch import Batch
from pullstudy.store.destination import Destination
from pullstudy.store.embedded.store import EmbeddedStore
from pullstudy.store.influx.check import why_not_usable
from pullstudy.store.influx.read import InfluxReader
from pullstudy.store.influx.settings import InfluxSettings, InfluxSettingsError
from pullstudy.store.influx.store import InfluxStore
from pullstudy.store.protocol import StoreError
from tests.collector.api_server import ApiServer, serving, write_kubeconfig
from tests.collector.kube_events import event
from tests.collector.test_command import Process, ended, start
from tests.hostile.conftest import Attack
from tests.hostile.influx_servers import PAGE, with_web_interface
from tests.notices import KeptNotices
from tests.real.points import Points
from tests.stack.home import StackHome
from tests.stack.influx import Influx
from tests.stack.wait import until
from tests.store.influx_server import FakeInflux, Trouble, fake_influx
from tests.store.records import pull
from tests.store.test_influx_write import VirtualTime

NOW = datetime(2026, 1, 1, 12, 34, 56, tzinfo=UTC)
ORGANISATION = "/orgs/0123456789abcdef"
SECRET = "h1dden-w0rd"
ENVIRONMENT = {"INFLUXDB_V2_TOKEN": "t", "INFLUXDB_V2_ORG": "o"}


def now() -> datetime:
    return NOW


async def no_rest(seconds: float) -> None:
    """A pause that takes no time."""


def settings_for(url: str) -> InfluxSettings:
    """Past the look at the address: as a path that nobody thought of would get there."""
    return InfluxSettings(url, "o", token="t", backoff=Backoff(jitter=0.0))


@pytest.fixture
async def fake() -> AsyncIterator[FakeInflux]:
    async with fake_influx() as server:
        yield server


@pytest.mark.parametrize(
    "path",
    [
        ORGANISATION,
        f"{ORGANISATION}/",
        f"{ORGANISATION}/load-data/buckets",
        "/orgs",
        "/signin",
        "/api/v2",
        "/api/v2/write",
    ],
)
@pytest.mark.parametrize("prefix", ["", "/influx"])
def test_a_page_of_the_web_interface_is_refused_with_the_address_that_is_meant(
    path: str, prefix: str, attack: Attack
) -> None:
    attack(f"--influx http://h:8086{prefix}{path}", "the address is refused")
    with pytest.raises(InfluxSettingsError, match=f"a page of its web interface.*; write it as http://h:8086{prefix}$"):
        InfluxSettings.from_environment(ENVIRONMENT, url=f"http://h:8086{prefix}{path}")


@pytest.mark.parametrize("prefix", ["/influx", "/orgs/lab", "/a/b/"])
def test_a_reverse_proxys_prefix_stays_possible(prefix: str) -> None:
    settings = InfluxSettings.from_environment(ENVIRONMENT, url=f"https://h{prefix}")
    assert settings.url == f"https://h{prefix.rstrip('/')}"


@pytest.mark.attack("a web page is taken for a written batch", "only 204 is written")
async def test_a_page_for_an_answer_writes_nothing_and_says_so_until_the_address_is_right(fake: FakeInflux) -> None:
    async with with_web_interface(fake) as url:
        notices, time = KeptNotices(), VirtualTime()
        store = InfluxStore(settings_for(f"{url}/elsewhere"), notices, Random(1), time.timing())

        class EnoughError(Exception):
            pass

        def give_up() -> None:
            if len(time.sleeps) == 5:
                raise EnoughError

        time.on_sleep = give_up
        with pytest.raises(EnoughError):
            await store.write(Batch(pulls=tuple(pull(f"u{number}") for number in range(400))))
        assert store.counters.alarm
        assert "200 a web page: this is no answer of InfluxDB's API" in notices.said("error")[0]
        assert store.counters.points == 0
        assert fake.points == {}
        await store.close()


@pytest.mark.parametrize("status", [200, 201, 202, 203, 205, 206, 226, 299])
async def test_no_other_success_is_taken_for_written(fake: FakeInflux, status: int, attack: Attack) -> None:
    attack(f"{status} for a written batch", "only 204 is written")
    fake.troubles.append(Trouble(status))
    time = VirtualTime()
    store = InfluxStore(settings_for(fake.url), KeptNotices(), Random(1), time.timing())
    assert (await store.deliver(Batch(pulls=(pull("a"),)))).written == 1
    assert len(time.sleeps) == 1
    await store.close()


@pytest.mark.attack("a web page is taken for a result", "only CSV is a result")
async def test_a_page_for_a_result_is_one_line(fake: FakeInflux) -> None:
    async with with_web_interface(fake) as url:
        reader = InfluxReader(settings_for(f"{url}/elsewhere"))
        with pytest.raises(StoreError, match="200 a web page: this is no answer of InfluxDB's API") as raised:
            await asyncio.to_thread(lambda: list(reader.pulls()))
        assert "\n" not in str(raised.value)


@pytest.mark.attack("check says ok of a web page", "a point is written and read back")
async def test_check_fails_on_a_page_and_passes_behind_a_prefix(fake: FakeInflux) -> None:
    async with with_web_interface(fake, "/influx") as url:
        found = [each async for each in InfluxCheck(settings_for(url), now).findings()]
        assert [(each.check, each.level) for each in found] == [("server", FindingLevel.FAILED)]
        assert "200 a web page" in found[0].message
        assert "cannot be read: 200 a web page" in str(await why_not_usable(settings_for(url), NOW, no_rest))
        assert fake.points == {}
        behind = settings_for(f"{url}/influx")
        found = [each async for each in InfluxCheck(behind, now).findings()]
        assert [each.level for each in found[:2]] == [FindingLevel.OK, FindingLevel.OK]
        assert await why_not_usable(behind, NOW, no_rest) is None
        assert [(name, at) for name, _, at in fake.points] == [
            ("pullstudy_check", int(NOW.replace(minute=0, second=0).timestamp()) * 10**9)
        ], "one point of the hour, written over"


@pytest.mark.attack("a server that takes points and keeps none", "a point is written and read back")
async def test_a_server_that_keeps_nothing_is_found_out(fake: FakeInflux) -> None:
    fake.keeps = False
    assert await why_not_usable(settings_for(fake.url), NOW, no_rest) == (
        "a point that it took is not there: check the address"
    )


@pytest.fixture
def in_directory(tmp_path: Path) -> Path:
    (tmp_path / "empty.log").write_text(json.dumps({"kind": "EventList", "items": []}))
    return tmp_path


@pytest.mark.parametrize("command", ["sweep --sizes 2", "import empty.log --size 2 --run r"])
@pytest.mark.parametrize("where", [ORGANISATION, "/elsewhere"])
@pytest.mark.attack("a sweep or an import into a web page", "refused before anything is begun")
async def test_nothing_is_begun_where_nothing_would_be_kept(
    fake: FakeInflux,
    in_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    where: str,
) -> None:
    monkeypatch.chdir(in_directory)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    async with with_web_interface(fake) as url:
        words = [*command.split(), "--influx", f"{url}{where}"]
        assert await asyncio.to_thread(cli.run, words) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "web interface" in said
    assert os.listdir(in_directory) == ["empty.log"]
    assert fake.points == {}


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{SECRET}@h:8086",
        f"http://user:{SECRET}@h:99999",
        f"ftp://user:{SECRET}@h",
        f"user:{SECRET}@h:8086",
        f"http://{SECRET}@h/orgs/0123456789abcdef",
        f"http://[user:{SECRET}@h",
        f"http://h:8086/?token={SECRET}",
        f"http://h:8086{ORGANISATION}?token={SECRET}",
        f"h:8086?token={SECRET}",
        f"http://h:8086/#{SECRET}",
    ],
)
@pytest.mark.attack("a password or token in the address", "refused without repeating it")
def test_a_secret_in_an_address_is_refused_and_never_repeated(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    study = f'[collect]\ninflux = "{url}"\n'
    Path("study.toml").write_text(study)
    monkeypatch.setenv("GRAFANA_TOKEN", "t")
    monkeypatch.setenv("INFLUXDB_V2_URL", url)
    commands: list[tuple[Any, list[str]]] = [
        (cli.run, ["sweep", "--sizes", "2", "--influx", url]),
        (cli.run, ["sweep", "study.toml"]),
        (cli.run, ["export", "pulls", "--influx", url]),
        (collector_cli.run_command, ["--cluster", "c", "--influx", url]),
        (collector_cli.run_command, ["--cluster", "c", "--influx", url, "--show-settings", "text"]),
        (collector_cli.run_command, ["check", "--cluster", "c", "--influx", url]),
        (cli.run, ["dashboards", "fill", ".", "--influx", url]),
        (cli.run, ["dashboards", "push", url]),
        (cli.run, ["dashboards", "push", "http://h:3000"]),
    ]
    for command, words in commands:
        code = command(words)
        said = "".join(capsys.readouterr())
        assert SECRET not in said, words
        assert code == (0 if "--show-settings" in words else 2), (words, said)


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://h:0x1f", "http://" + "a" * 300, "http://a..b", "http://h\x1b[2J"]
)
@pytest.mark.attack("an address that no parser takes", "refused in one line")
def test_an_address_that_is_none_is_one_line(url: str) -> None:
    with pytest.raises(InfluxSettingsError, match="is no address") as raised:
        InfluxSettings.from_environment(ENVIRONMENT, url=url)
    assert str(raised.value).isprintable()


def test_a_destination_in_a_ledger_never_holds_a_page_or_a_secret() -> None:
    for url in (f"http://user:{SECRET}@h", f"http://h{ORGANISATION}"):
        with pytest.raises(InfluxSettingsError):
            Destination(influx=url).settled(ENVIRONMENT)


@pytest.mark.parametrize("where", [ORGANISATION, "/elsewhere", ""])
async def test_a_study_is_put_nowhere_where_it_would_not_be_kept(
    fake: FakeInflux,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    attack: Attack,
    where: str,
) -> None:
    if where:
        attack(f"dashboards fill into a web page ({where})", "refused before anything is written")
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    store = EmbeddedStore(tmp_path, create=True)
    store.write_now(Batch(pulls=(pull("a"), pull("b"))))
    store.close_now()
    async with with_web_interface(fake, "/influx") as url:
        words = ["dashboards", "fill", str(tmp_path), "--influx", f"{url}{where or '/influx'}"]
        code = await asyncio.to_thread(cli.run, words)
    said = capsys.readouterr()
    if where:
        assert (code, said.err.count("\n")) == (2, 1)
        assert "web interface" in said.err or "200 a web page" in said.err
        assert fake.points == {}
    else:
        assert (code, said.err) == (0, "")
        assert len(fake.points) >= 3  # the check's too


@pytest.fixture
async def influx_with_page(stack_home: StackHome, tmp_path: Path) -> AsyncIterator[Influx]:
    assets = tmp_path / "assets"
    assets.mkdir()
    (assets / "index.html").write_text(PAGE)
    async with Influx(stack_home, tmp_path, assets) as server:
        yield server


@pytest.mark.real
@pytest.mark.attack("the real web interface's page for an answer", "only 204 is written; check reads back")
async def test_the_real_influxdb_with_a_web_interface(influx_with_page: Influx) -> None:
    server = influx_with_page
    wrong = InfluxSettings(f"{server.url}/elsewhere", server.organisation, token=server.token, bucket=server.bucket)
    async with aiohttp.ClientSession() as session, session.post(f"{wrong.url}/api/v2/write", data=b"a b=1") as response:
        assert (response.status, await response.text()) == (200, PAGE)
    found = [each async for each in InfluxCheck(wrong, lambda: datetime.now(UTC)).findings()]
    assert [(each.check, each.level) for each in found] == [("server", FindingLevel.FAILED)]
    assert "200 a web page" in str(await why_not_usable(wrong, datetime.now(UTC)))
    right = InfluxSettings(server.url, server.organisation, token=server.token, bucket=server.bucket)
    assert await why_not_usable(right, datetime.now(UTC)) is None
    found = [each async for each in InfluxCheck(right, lambda: datetime.now(UTC)).findings()]
    assert {each.level for each in found} == {FindingLevel.OK}
    count = f'from(bucket: "{server.bucket}") |> range(start: 0) |> group() |> count()'
    assert [row["_value"] for row in await server.query(count)] == ["1"]


# Each with what is said of it. HERE is the server, CLOSED a port that nobody listens on.
REFUSED = {
    "HERE/orgs/0123456789abcdef": "a page of its web interface",
    "HERE/orgs/0123456789abcdef/load-data/buckets": "a page of its web interface",
    "HERE/orgs/0123456789abcdef/data-explorer?bucket=pulls": "a page of its web interface",
    "HERE/signin?returnTo=%2Forgs": "a page of its web interface",
    "HERE/api/v2/write": "a page of its web interface",
    "HERE?org=pullstudy": "an address ends before",
    "127.0.0.1:8086": "is no address",
    "//127.0.0.1:8086": "is no address",
    "influxdb://127.0.0.1:8086": "is no address",
}
WAITED = {
    "HERE/elsewhere": "200 a web page",
    "HERE/write": "200 a web page",
    "https://127.0.0.1:PORT": "",
    "CLOSED": "refused",
}
RECORDS = 400


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.real
@pytest.mark.timeout(900)
async def test_400_records_survive_every_wrong_address_of_a_real_influxdb(
    influx_with_page: Influx,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    closed_port: int,
    attack: Attack,
) -> None:
    influx = influx_with_page
    for name, value in (influx.environment() | {"INFLUXDB_V2_BUCKET": influx.bucket}).items():
        monkeypatch.setenv(name, value)
    points = Points(influx, influx.bucket)

    def meant(form: str) -> str:
        port = influx.url.rpartition(":")[2]
        return (
            form.replace("HERE", influx.url).replace("PORT", port).replace("CLOSED", f"http://127.0.0.1:{closed_port}")
        )

    async with serving(ApiServer()) as server:
        for number in range(RECORDS):
            await server.put(event(number))
        kubeconfig = str(write_kubeconfig(tmp_path / "kubeconfig", server.url))
        words = ("--cluster", "c", "--kubeconfig", kubeconfig, "--data-dir", str(tmp_path / "out"))

        async def checked(form: str) -> str:
            """What it says of InfluxDB: of the rest of an API server there is nothing here."""
            await asyncio.to_thread(collector_cli.run_command, ["check", *words, "--influx", meant(form)])
            return "\n".join(line for line in capsys.readouterr().out.splitlines() if " influxdb: " in line)

        for form, said in REFUSED.items():
            for command in ((), ("check",)):
                code = collector_cli.run_command([*command, *words, "--influx", meant(form)])
                heard = capsys.readouterr().err
                assert (code, heard.count("\n"), said in heard) == (2, 1, True), (command, form, heard)
            attack(f"--influx {form}, real InfluxDB", "refused at the start, and by check")
        assert not (tmp_path / "out").exists()
        for form, said in WAITED.items():
            found = await checked(form)
            assert "FAILED" in found, form
            process = await start(*words, "--influx", meant(form), "--stop-within", "1s", "--no-reconcile")
            heard = await said_by(process, "InfluxDB")
            assert said in heard, (form, heard)
            process.send_signal(signal.SIGTERM)
            code, heard = await ended(process)
            assert (code, "Traceback" in heard) == (0, False), (form, heard)
            with Spool(tmp_path / "out" / "spool" / "c", SpoolSettings()) as spool:
                waiting = [each for entry in spool.read(10 * RECORDS) for each in entry.batch.pulls]
            assert len(waiting) == RECORDS, form
            assert await points.count() == 0, form
            attack(
                f"--influx {form}, real InfluxDB", f"check fails, it is said, {RECORDS} of {RECORDS} stay in the spool"
            )
        found = await checked(influx.url)
        assert "FAILED" not in found
        assert " influxdb: server:" in found
        process = await start(*words, "--influx", influx.url, "--no-reconcile")

        async def all_there() -> bool:
            return await points.count() == RECORDS

        await until(all_there, 60, f"{RECORDS} pulls")
        process.send_signal(signal.SIGTERM)
        assert (await ended(process))[0] == 0
    attack(f"{RECORDS} records after all these addresses, the right one", f"{RECORDS} of {RECORDS} in the bucket")


async def said_by(process: Process, text: str) -> str:
    """The first warning or error with this text, which comes once all is in the spool."""
    assert process.stderr is not None
    while line := (await process.stderr.readline()).decode():
        if text in line and (" WARNING: " in line or " ERROR: " in line):
            return line
    raise AssertionError("it ended before it said so")
