"""Fresh pulls of a containerd that is built here, traced by the product: its client, the registry's log and the
records of the collector are three witnesses of one thing.

Skipped, with the reason, where the machine allows no namespaces with mounts and networks of their own.
"""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from driver.profiling.cri import runtime
from pullstudy.pulls.pulled_layer import LayerOrigin
from tests.real.pull_site import PullSite, pull_site
from tests.real.traced_node import TracedPull
from tests.stack.containerd_node import ContainerdNode, Release, Settings
from tests.stack.home import StackHome
from tests.stack.machine import why_not
from tests.stack.network import why_no_network
from tests.stack.process import Process

pytestmark = pytest.mark.real

LINK_MEGABITS = 200
UNPACKED_BYTES = 30_000_000
SHARE_EXPLAINED = 0.99
CLIENT_SECONDS = 0.25
"""What a client's call takes around the runtime's own span, at most, on a machine that others load."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(stack_home: StackHome, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PullSite]:
    reason = why_not() or why_no_network()
    if reason is not None:
        pytest.skip(reason)
    order = ["--layers", "9,125", "--bytes", str(UNPACKED_BYTES), "--compression", "gzip:6,zstd:3"]
    async with pull_site(stack_home, tmp_path_factory.mktemp("site"), order) as site:
        site.rate(LINK_MEGABITS)
        yield site


def check_stages(traced: TracedPull) -> None:
    """They add up to the client's duration."""
    stages = traced.stages
    assert stages.complete
    assert 0 <= traced.pull.seconds - stages.wall_seconds < CLIENT_SECONDS
    assert stages.unattributed_seconds <= (1 - SHARE_EXPLAINED) * stages.wall_seconds
    told = [
        value
        for name in type(stages).__struct_fields__
        if name.endswith("_seconds") and name != "wall_seconds"
        if (value := getattr(stages, name)) is not None
    ]
    assert sum(told) == pytest.approx(stages.wall_seconds, abs=1e-6)


def check_layers(traced: TracedPull, served: list[tuple[str, int]]) -> None:
    """Each layer once, with the bytes that the registry's log has."""
    layers = {layer.layer_digest: layer.layer_bytes for layer in traced.layers}
    assert len(layers) == traced.stages.layers
    by_log = {digest: size for digest, size in served if digest in layers}
    assert by_log == layers
    assert sum(digest in layers for digest, _ in served) == len(layers), "each was asked for once"
    assert {layer.origin for layer in traced.layers} == {LayerOrigin.REGISTRY}


@pytest.mark.parametrize(
    "settings",
    [Settings(), Settings(unpacks=4), Settings(release=Release.V1)],
    ids=["2.4", "2.4, 4 unpacked at a time", "1.7"],
)
async def test_the_stages_of_real_pulls_add_up_and_their_layers_are_what_the_registry_served(
    site: PullSite, settings: Settings, tmp_path: Path
) -> None:
    async with site.traced(tmp_path, settings) as node:
        for image in site.images:
            before = len(site.registry.served())
            traced = await node.pull(image)
            check_stages(traced)
            check_layers(traced, site.registry.served()[before:])
            assert traced.stages.parallel == (settings.unpacks > 1)


async def profiled(node: ContainerdNode, directory: Path, *arguments: str) -> tuple[int | None, str]:
    """``pulldriver profile`` in the node's network: its exit code, and what it said."""
    program = str(Path(sys.executable).with_name("pulldriver"))
    command = [program, "profile", *arguments, "--containerd", str(node.socket)]
    process = Process("profile", node.in_network(command), directory)
    process.start()
    return await process.ended(), process.output()


async def test_images_are_profiled_on_a_node_that_is_left_as_it_was(site: PullSite, tmp_path: Path) -> None:
    few = [image for image in site.images if ":9-layers" in image]
    async with site.node(tmp_path / "node", Settings()) as node, runtime(node.socket) as cri:
        page = tmp_path / "profile.html"
        code, said = await profiled(node, tmp_path, *few, "--repeats", "2", "--json", "--html", str(page))
        assert code == 0, said
        found = json.loads(said[said.index("{") :])
        assert [len(image["pulls"]) for image in found["images"]] == [2, 2]
        for pull in (pull for image in found["images"] for pull in image["pulls"]):
            assert pull["stages"]["complete"]
            assert 0 <= pull["seconds"] - pull["stages"]["wall_seconds"] < CLIENT_SECONDS
            assert pull["used"]["cpu_seconds"] > 0
            assert pull["used"]["network_bytes"] >= pull["stages"]["layer_bytes"]
        assert "<svg" in page.read_text()
        assert await cri.names_by_id() == {}
        await cri.pull(few[0], None)
        code, said = await profiled(node, tmp_path, few[0])
        assert (code, "is on this node already" in said) == (2, True)
        assert await cri.held_as(few[0]) is not None
