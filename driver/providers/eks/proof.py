"""Whether a kubeconfig that we did not write leads to the cluster that was made. Nothing is done through it before.

The nodes tell it: they bear a label that was drawn for this cluster. The server's address and certificate would not,
since a tunnel or proxy has its own.
"""

from pathlib import Path

import msgspec

from driver.clusters.cluster_api import PATIENCE_SECONDS, ClusterApi, open_cluster
from driver.errors import ProviderError
from driver.providers.eks.access import is_simulator
from driver.providers.eks.handle import EksHandle
from driver.providers.eks.waiting import EksWaiting
from driver.providers.kubeconfig.context import hold_context
from pullstudy.kube.access import current_context
from pullstudy.kube.errors import KubeError
from pullstudy.kube.objects import Node, Page

_nodes = msgspec.json.Decoder(Page[Node]).decode


async def prove(api: ClusterApi, handle: EksHandle, *, patience_seconds: float = PATIENCE_SECONDS) -> bool:
    """Whether the simulator answers in the cluster's place. Raises ProviderError where it is another, ApiError."""
    ours = handle.node_labels.items()
    page = await api.list_objects("/api/v1/nodes", ("limit", "0"), _nodes, patience_seconds=patience_seconds)
    if any(ours <= node.metadata.labels.items() for node in page.objects):
        return False
    if await is_simulator(api):
        return True
    label = ",".join(f"{key}={value}" for key, value in ours)
    raise ProviderError(
        f"kubeconfig {handle.kubeconfig} leads to another cluster than {handle.cluster}: none of its"
        f" {len(page.objects)} nodes bears {label}; have its current context lead there, or leave --kubeconfig out"
    )


async def hold_proven(name: str, handle: EksHandle, read: Path, waiting: EksWaiting) -> tuple[Path, bool]:
    """Paths with the context held that is current in ``read``, and whether they lead to a simulator.

    A tunnel may still be writing its file, and a new cluster not yet know whom to let in: that is waited for.
    Raises ProviderError.
    """
    async for _ in waiting.settling():
        try:
            return await _hold_now(name, handle, read, waiting)
        except (KubeError, ProviderError) as error:
            last = error
    raise ProviderError(f"{name}: {last}") from last


async def _hold_now(name: str, handle: EksHandle, read: Path, waiting: EksWaiting) -> tuple[Path, bool]:
    place = handle.directory / "clusters" / f"{name}.context"
    held = hold_context(handle.kubeconfig, current_context(read), place)
    async with open_cluster(held, "default", sleep=waiting.sleep) as api:
        return held, await prove(api, handle, patience_seconds=waiting.patience.api_seconds)
