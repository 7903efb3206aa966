"""The image caches of a cluster's nodes, cleared between jobs by the nodes' own runtimes."""

from driver.clusters.cluster_api import ClusterApi
from driver.planning.study import Study
from driver.providers.eks.access import is_simulator
from driver.providers.eks.handle import EksHandle
from driver.providers.eks.proof import prove
from driver.providers.kubeconfig.cleaner import Cleaner
from pullstudy.polling import Sleep

RUNTIME_SOCKET = "/run/containerd/containerd.sock"  # of the EKS AMIs


async def clear_caches(
    api: ClusterApi, handle: EksHandle, study: Study, images: tuple[str, ...], sleep: Sleep
) -> frozenset[str] | None:
    """Our nodes that say they have none of the images; None for a simulator. Raises ProviderError, ApiError."""
    if not handle.own_kubeconfig and await is_simulator(api):
        await api.post("/sim/cache/clear", {"images": list(images)})
        return None
    if not handle.own_kubeconfig:
        await prove(api, handle)
    cleaner = Cleaner(
        api,
        handle.node_labels,
        image=handle.plan.cleaner_image,
        socket=RUNTIME_SOCKET,
        limit_seconds=study.limits.cache_clear_seconds,
        pull_secrets=study.job.image_pull_secrets,
        sleep=sleep,
    )
    # A lost node gets no pods and needs none: its images are looked at when it is back.
    ready = sum(node.ready for node in await api.nodes())
    return await cleaner.clear(images, ready) if ready else frozenset()
