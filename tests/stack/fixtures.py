"""Servers for any test marked ``real``: shared ones, one a session, and own ones for tests that kill or freeze them.

State is kept apart on a shared server by a topic, a bucket or a namespace of the test's own. A test that needs other
options makes the server itself: ``async with Kafka(stack_home, tmp_path / "kafka", security=...) as kafka``.
"""

import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from tests.stack.control_plane import ControlPlane
from tests.stack.home import StackHome
from tests.stack.influx import Influx
from tests.stack.kafka import Kafka
from tests.stack.kwok import Kwok
from tests.stack.machine import why_not
from tests.stack.node import KubeletNode
from tests.stack.registry import Registry


@contextmanager
def _disk(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """A directory for a server, of which only the logs are kept when it is done."""
    directory = factory.mktemp(name)
    yield directory
    for path in directory.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.suffix != ".log":
            path.unlink()


@pytest.fixture(scope="session")
def stack_home() -> StackHome:
    """The cache with the servers' programs."""
    return StackHome.from_environment()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka(stack_home: StackHome, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kafka]:
    """The shared broker, plain. Don't kill it."""
    with _disk(tmp_path_factory, "kafka") as directory:
        async with Kafka(stack_home, directory) as server:
            yield server


@pytest_asyncio.fixture
async def own_kafka(stack_home: StackHome, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kafka]:
    """A broker of the test's own, to kill and freeze."""
    with _disk(tmp_path_factory, "own-kafka") as directory:
        async with Kafka(stack_home, directory) as server:
            yield server


@pytest.fixture
def topic() -> str:
    """A topic's name that no other test uses; the topic is not made."""
    return f"pulls-{secrets.token_hex(4)}"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def influx(stack_home: StackHome, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Influx]:
    """The shared InfluxDB. Don't kill it."""
    with _disk(tmp_path_factory, "influx") as directory:
        async with Influx(stack_home, directory) as server:
            yield server


@pytest_asyncio.fixture
async def own_influx(stack_home: StackHome, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Influx]:
    """An InfluxDB of the test's own, to kill and freeze."""
    with _disk(tmp_path_factory, "own-influx") as directory:
        async with Influx(stack_home, directory) as server:
            yield server


@pytest_asyncio.fixture
async def bucket(influx: Influx) -> AsyncIterator[str]:
    """An empty bucket on the shared InfluxDB, gone after the test."""
    name = f"pulls-{secrets.token_hex(4)}"
    await influx.new_bucket(name)
    yield name
    await influx.delete_bucket(name)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def control_plane(stack_home: StackHome, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ControlPlane]:
    """The shared cluster, with its controllers and no node. Don't kill it."""
    with _disk(tmp_path_factory, "control-plane") as directory:
        async with ControlPlane(stack_home, directory) as cluster:
            yield cluster


@pytest_asyncio.fixture
async def own_control_plane(
    stack_home: StackHome, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ControlPlane]:
    """An API server with its etcd, of the test's own and without controllers, to kill and freeze."""
    with _disk(tmp_path_factory, "own-control-plane") as directory:
        async with ControlPlane(stack_home, directory, controllers=False) as cluster:
            yield cluster


@pytest_asyncio.fixture
async def namespace(control_plane: ControlPlane) -> AsyncIterator[str]:
    """An empty namespace on the shared cluster, told to go after the test."""
    name = f"test-{secrets.token_hex(4)}"
    await control_plane.access.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    await control_plane.access.request("DELETE", f"/api/v1/namespaces/{name}")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kwok(
    stack_home: StackHome, control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Kwok]:
    """kwok on the shared cluster: it makes fake nodes when asked."""
    with _disk(tmp_path_factory, "kwok") as directory:
        async with Kwok(stack_home, directory, control_plane.access) as server:
            yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def registry(stack_home: StackHome, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Registry]:
    """The shared, open registry, which has ``pause:1``."""
    with _disk(tmp_path_factory, "registry") as directory:
        async with Registry(stack_home, directory) as server:
            await server.push_new("pause:1", [])
            yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def node(
    stack_home: StackHome, control_plane: ControlPlane, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[KubeletNode]:
    """A real node of the shared cluster; skips, with the reason, where this machine allows none."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with _disk(tmp_path_factory, "node") as directory:
        pause = f"{registry.host}/pause:1"
        async with KubeletNode(stack_home, directory, control_plane.access, pause) as server:
            yield server
