"""A cluster is taken down whatever happens."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from driver.clusters.cluster_lifecycle import ClusterLifecycle
from driver.clusters.cluster_record import SavedHandle
from driver.clusters.provider import Cluster, ClusterOrder, Handle, SaveHandle
from driver.errors import LimitError, ProviderError
from driver.planning.budget import Budget, within
from driver.planning.plan import make_plan
from driver.planning.study import Overrides, Study, load_study
from driver.providers.sim import SimProvider
from pullstudy.store.embedded.ledger import ClusterRow, ClusterState, Ledger, Run
from tests.driver.existing_cluster import ExistingCluster
from tests.driver.sweeps import RecordedProgress, run_sweep, small_study

AT = datetime(2026, 1, 1, tzinfo=UTC)
ROW = ClusterRow(cluster="sim-test-2", run="run1", size=2)


class Failing(ExistingCluster):
    """Cannot make a cluster, but leaves something behind when it tries."""

    def __init__(self, ledger: Ledger, *, full: bool = False) -> None:
        super().__init__()
        self._ledger = ledger
        self._full = full
        self.seen: list[str] = []
        self.down_with: list[Handle] = []

    async def up(self, order: ClusterOrder, save: SaveHandle) -> Cluster:
        save({"step": "network"})
        (row,) = self._ledger.clusters("run1")
        self.seen = [row.state, row.handle or ""]
        if self._full:
            self._ledger.close()
        raise ProviderError("no more addresses in the network")

    async def down(self, name: str, handle: Handle) -> None:
        self.down_with.append(handle)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path, create=True)) as opened:
        opened.begin(Run(run="run1", provider="standing", study="{}", started_at=AT), [ROW])
        yield opened


def lifecycle(provider: Failing, ledger: Ledger, heard: RecordedProgress) -> ClusterLifecycle:
    return ClusterLifecycle(provider, ledger, Study(), ledger.path.parent, heard, now=lambda: AT)


async def test_what_was_begun_is_written_before_and_taken_down_after(ledger: Ledger) -> None:
    provider = Failing(ledger)
    with pytest.raises(ProviderError, match="no more addresses"):
        async with lifecycle(provider, ledger, RecordedProgress()).running(ROW):
            raise AssertionError("there is no cluster")
    assert provider.seen[0] == "creating"
    assert msgspec.json.decode(provider.seen[1], type=SavedHandle).provider == {"step": "network"}
    assert provider.down_with == [{"step": "network"}]
    assert ledger.clusters("run1")[0].state is ClusterState.DOWN


async def test_a_ledger_that_cannot_be_written_is_no_reason_to_leave_a_cluster_up(ledger: Ledger) -> None:
    provider, heard = Failing(ledger, full=True), RecordedProgress()
    with pytest.raises(ProviderError, match="no more addresses"):
        async with lifecycle(provider, ledger, heard).running(ROW):
            raise AssertionError("there is no cluster")
    assert provider.down_with == [{"step": "network"}]
    assert "is taken down, but that could not be written" in heard.notes[0]


async def test_a_cluster_that_takes_its_whole_budget_to_make_is_ended_and_taken_down(ledger: Ledger) -> None:
    class Slow(Failing):
        async def up(self, order: ClusterOrder, save: SaveHandle) -> Cluster:
            save({"step": "nodes"})
            await asyncio.Event().wait()
            raise AssertionError

    plan = make_plan(load_study(None, Overrides(sizes="2")), "standing", "sim-", 0.0)
    provider = Slow(ledger)
    with pytest.raises(LimitError, match="the share of 2 nodes is used up after 0 min of making it"):
        async with lifecycle(provider, ledger, RecordedProgress()).running(
            ROW, lambda: within(Budget(amount=0.0, plan=plan), 2, what="making it")
        ):
            raise AssertionError("there is no cluster")
    assert provider.down_with == [{"step": "nodes"}]


async def test_what_a_killed_driver_left_is_taken_down_by_its_handle(ledger: Ledger) -> None:
    handle = msgspec.json.encode(SavedHandle(provider={"step": "nodes"}, collector_pid=2**22 + 1)).decode()
    left = msgspec.structs.replace(ROW, state=ClusterState.UP, handle=handle)
    provider = Failing(ledger)
    await lifecycle(provider, ledger, RecordedProgress()).clean_up(left)
    assert provider.down_with == [{"step": "nodes"}]
    assert ledger.clusters("run1")[0].state is ClusterState.DOWN


async def test_more_nodes_than_are_wanted_are_said_at_once_with_what_to_do(tmp_path: Path) -> None:
    class Roomy(SimProvider):
        async def up(self, order: ClusterOrder, save: SaveHandle) -> Cluster:
            found = await super().up(msgspec.structs.replace(order, size=order.size + 2), save)
            return msgspec.structs.replace(found, size=order.size)

    study, heard = small_study(), RecordedProgress()
    study = msgspec.structs.replace(study, limits=msgspec.structs.replace(study.limits, nodes_ready_seconds=1.0))
    with pytest.raises(LimitError, match="4 of 4 nodes ready after 1 s; wanted: 2"):
        await run_sweep(study, tmp_path, Roomy(), heard)
    (said,) = heard.notes
    assert said.startswith("sim-test-2: 4 nodes take pods where 2 are wanted: scale the cluster to 2, or end this and")
    assert heard.done[:2] == ["making the cluster", "waiting for nodes: 4 of 2 nodes ready"]
    assert heard.done[-1] == "taking the cluster down"
