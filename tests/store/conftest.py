"""The real InfluxDB of the store's tests: new buckets on the shared server."""

import asyncio
import secrets
from collections.abc import Callable

import pytest

from pullstudy.store.influx.settings import InfluxSettings
from tests.stack.influx import Influx


@pytest.fixture
def bucket_settings(influx: Influx) -> Callable[..., InfluxSettings]:
    """Makes a bucket and gives its settings; ``retention_seconds`` is the bucket's, the rest are settings."""

    def make(retention_seconds: int = 0, **settings: object) -> InfluxSettings:
        name = f"pulls-{secrets.token_hex(4)}"
        asyncio.run(influx.new_bucket(name, retention_seconds=retention_seconds))
        plain = {"url": influx.url, "organisation": influx.organisation, "token": influx.token, "bucket": name}
        return InfluxSettings(**{**plain, **settings})  # type: ignore[arg-type]

    return make
