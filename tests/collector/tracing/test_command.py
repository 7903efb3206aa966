"""The ``collector`` command with --otlp as a process: kill -9, and what a user gets wrong."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import aiohttp
import pytest

from pullstudy.pulls.decode import Origin
from pullstudy.pulls.kind import Record
from pullstudy.pulls.kinds import LAYER, PULL_STAGES
from pullstudy.pulls.spans.stage_records import records_of
from pullstudy.store.embedded.store import EmbeddedStore
from tests.collector.api_server import ApiServer, serving, write_kubeconfig
from tests.collector.polling import until
from tests.collector.test_command import Process, ended, start
from tests.pulls.spans.samples import pull_spans, request_of

SAMPLES = ("g9", "z9", "g9p", "g125", "17")


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with serving(ApiServer()) as server:
        yield server


@asynccontextmanager
async def receiving(server: ApiServer, directory: Path) -> AsyncIterator[str]:
    """A collector that takes spans, and where; kill -9 at the end."""
    kubeconfig = write_kubeconfig(directory / "kubeconfig", server.url)
    options = ("--kubeconfig", str(kubeconfig), "--data-dir", str(directory / "out"), "--otlp", "127.0.0.1:0")
    process = await start("--cluster", "c", *options)
    try:
        yield f"http://127.0.0.1:{await _port(process)}/v1/traces"
    finally:
        process.kill()
        await process.communicate()


async def _port(process: Process) -> str:
    assert process.stderr is not None
    while (line := (await process.stderr.readline()).decode()) and "spans are taken" not in line:
        pass
    found = re.search(r"port (\d+)", line)
    assert found, "the collector ended before it listened"
    return found[1]


def stored(directory: Path) -> list[Record]:
    store = EmbeddedStore(directory / "out", create=False)
    records: list[Record] = [*store.records(PULL_STAGES), *store.records(LAYER)]
    store.close_now()
    return records


async def test_killed_three_times_with_spans_late_and_doubled_the_store_has_the_undisturbed_records(
    server: ApiServer, tmp_path: Path
) -> None:
    random = Random(11)
    expected = [record for name in SAMPLES for record in records_of(pull_spans(name), Origin(cluster="c"))]
    pieces = []
    for name in SAMPLES:
        spans = [*pull_spans(name), *pull_spans(name)[::2]]
        random.shuffle(spans)
        pieces += [request_of(name, spans[at : at + 60]) for at in range(0, len(spans), 60)]
    random.shuffle(pieces)
    sent = 0
    for last in (len(pieces) // 4, len(pieces) // 2, 3 * len(pieces) // 4, len(pieces)):
        async with receiving(server, tmp_path) as url, aiohttp.ClientSession() as session:
            for piece in pieces[max(0, sent - 2) : last]:  # the last two again, as if their answers had been lost
                headers = {"Content-Type": "application/x-protobuf"}
                async with session.post(url, data=piece, headers=headers) as answer:
                    assert answer.status == 200
            sent = last
            if last == len(pieces):
                await until(lambda: len(stored(tmp_path)) >= len(expected))
    assert sorted(map(repr, stored(tmp_path))) == sorted(map(repr, expected))


async def test_an_address_that_is_taken_is_one_line(server: ApiServer, tmp_path: Path) -> None:
    async with receiving(server, tmp_path) as url:
        address = url.removeprefix("http://").partition("/")[0]
        kubeconfig = str(tmp_path / "kubeconfig")
        more = ("--kubeconfig", kubeconfig, "--data-dir", str(tmp_path / "other"), "--otlp", address)
        code, stderr = await asyncio.wait_for(ended(await start("--cluster", "c", *more)), 30)
    assert (code, "Traceback" in stderr) == (1, False)
    assert f"--otlp {address}: address already in use; is another one running?" in stderr
