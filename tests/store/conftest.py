"""The real InfluxDB of the store's tests: one server a test run, a new bucket a test."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from store.influx_settings import InfluxSettings
from tests.stack.home import StackHome
from tests.stack.influx import Influx


@pytest.fixture(scope="session")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    server = Influx(StackHome.from_environment(), tmp_path_factory.mktemp("influx"))
    asyncio.run(server.start())
    yield server
    server.kill()


@pytest.fixture
def bucket(influx: Influx, request: pytest.FixtureRequest) -> Callable[..., InfluxSettings]:
    """Makes a bucket and gives its settings; ``retention_seconds`` is the bucket's, the rest are settings."""
    made = 0

    def make(retention_seconds: int = 0, **settings: object) -> InfluxSettings:
        nonlocal made
        made += 1
        name = f"{request.node.name}-{made}"
        asyncio.run(influx.new_bucket(name, retention_seconds=retention_seconds))
        plain = {"url": influx.url, "organisation": influx.organisation, "token": influx.token, "bucket": name}
        return InfluxSettings(**{**plain, **settings})  # type: ignore[arg-type]

    return make


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path
