"""One existing cluster with two real nodes for all tests of sweeps on it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.real.existing_cluster import Existing, Machines, two_nodes
from tests.stack.home import StackHome
from tests.stack.machine import why_not
from tests.stack.registry import Registry


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def machines(
    stack_home: StackHome, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Machines]:
    """Skips, with the reason, where this machine allows no real node."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    async with two_nodes(stack_home, registry, tmp_path_factory.mktemp("existing")) as machines:
        yield machines


@pytest.fixture
def existing(machines: Machines, tmp_path: Path) -> Existing:
    return Existing(machines, tmp_path)
