"""Whether a cluster that is there already answers, asked before anything is begun."""

import asyncio
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from driver.clusters.cluster_api import ClusterApi, open_cluster
from driver.errors import ProviderError
from pullstudy.kube.access import current_context
from pullstudy.kube.errors import ApiError, KubeconfigError
from pullstudy.polling import Sleep

ANSWER_SECONDS = 10.0


@asynccontextmanager
async def answering(kubeconfig: Path, namespace: str, sleep: Sleep) -> AsyncIterator[ClusterApi]:
    """The API, found to answer: the patience of jobs is for a server that was there.

    Raises ApiError of what it refuses, KubeconfigError, ProviderError.
    """
    context = current_context(kubeconfig)
    if not context:
        raise KubeconfigError(f"kubeconfig {kubeconfig} has no current context: kubectl config use-context NAME")
    server = f"the API server of context {context} in {kubeconfig}"
    way = f"see kubectl --kubeconfig {shlex.quote(str(kubeconfig))} cluster-info, or give another --kubeconfig"
    async with open_cluster(kubeconfig, namespace, patience_seconds=ANSWER_SECONDS / 3, sleep=sleep) as api:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await api.exists("/api/v1/nodes?limit=1")
        except TimeoutError:
            raise ProviderError(f"{server} did not answer within {ANSWER_SECONDS:.0f} s: {way}") from None
        except ApiError as error:
            if error.status:
                raise
            raise ProviderError(f"{server} was not reached ({error.cause}): {way}") from error
        yield api
