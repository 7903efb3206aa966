"""What one size leaves for the next is in the ledger all the time, and gone at the end, however that comes."""

from pathlib import Path

import msgspec
import pytest

from driver.clusters.provider import Cluster, ClusterOrder, Handle, SaveHandle
from driver.errors import ProviderError
from driver.planning.study import ClusterPlan, Study
from driver.providers.sim import SimProvider
from tests.driver.sweeps import SMALL, rows, run_sweep, small_study


class Lending(SimProvider):
    """Simulators that stand on something slow to make, which goes from size to size."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory
        self.there: set[str] = set()
        self.told: list[str] = []
        self.refused = 0  # of the sizes, the one that cannot be made
        self.stuck = False

    async def up(self, order: ClusterOrder, save: SaveHandle) -> Cluster:
        if order.size == self.refused:
            raise ProviderError("refused")
        base = (order.base or {"base": f"base of {order.size}"})["base"]

        def keep(handle: Handle) -> None:
            save({**handle, "base": base})
            assert self._alive() == [order.name], "one cluster at a time owns what there is"

        cluster = await super().up(order, keep)
        self.there.add(base)
        self.told.append(f"up {order.size} on {base}")
        return msgspec.structs.replace(cluster, handle={**cluster.handle, "base": base})

    def _alive(self) -> list[str]:
        alive = "SELECT cluster FROM clusters WHERE state IN ('creating', 'up', 'deleting')"
        return [cluster for (cluster,) in rows(self._directory, alive)]

    async def empty(self, name: str, handle: Handle) -> bool:
        if self.stuck:
            raise ProviderError("its nodes stay")
        await super().down(name, handle)
        self.told.append(f"empty {handle['base']}")
        return True

    async def down(self, name: str, handle: Handle) -> None:
        await super().down(name, handle)
        if handle:
            self.there.discard(handle["base"])
            self.told.append(f"down {handle['base']}")


def study() -> Study:
    return msgspec.structs.replace(small_study(SMALL), cluster=ClusterPlan(sizes=(1, 2)))


async def test_the_second_size_stands_on_what_the_first_one_left(tmp_path: Path) -> None:
    provider = Lending(tmp_path)
    outcome, _ = await run_sweep(study(), tmp_path, provider)
    assert outcome.accounted == "3/3 accounted for"
    first, second = ["up 1 on base of 1", "empty base of 1"], ["up 2 on base of 1", "empty base of 1"]
    assert provider.told == [*first, *second, "down base of 1"]
    assert provider.there == set()
    assert rows(tmp_path, "SELECT DISTINCT state FROM clusters") == [("down",)]


async def test_what_was_left_is_taken_down_where_the_next_size_cannot_be_made(tmp_path: Path) -> None:
    provider = Lending(tmp_path)
    provider.refused = 2
    with pytest.raises(ProviderError, match="refused"):
        await run_sweep(study(), tmp_path, provider)
    assert provider.there == set()
    assert rows(tmp_path, "SELECT DISTINCT state FROM clusters") == [("down",)]


async def test_a_size_whose_nodes_do_not_go_is_taken_down_whole(tmp_path: Path) -> None:
    provider = Lending(tmp_path)
    provider.stuck = True
    outcome, heard = await run_sweep(study(), tmp_path, provider)
    assert outcome.accounted == "3/3 accounted for"
    assert provider.told == ["up 1 on base of 1", "down base of 1", "up 2 on base of 2", "down base of 2"]
    assert any("its nodes stay; all of sim-test-1 is taken down" in note for note in heard.notes)
