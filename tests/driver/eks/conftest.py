"""moto's server, once for a test's worker, emptied for each test, with the faulty proxy before it."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp.test_utils import unused_port

from driver.clusters.provider import ClusterOrder, Handle
from driver.providers.eks.provider import EksProvider
from tests.driver.eks.aws_proxy import AwsProxy
from tests.driver.eks.moto_process import ENVIRONMENT, forget_all, moto_process
from tests.driver.eks.studies import CLIENTS, NOTHING, eks_study, everything, make_boundary
from tests.driver.scripted_api import scripted


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    with moto_process() as url:
        yield url


@pytest.fixture(scope="session")
def proxy_port() -> int:
    """One for all tests, so that boto3's clients, which take a second to build, can be kept."""
    return unused_port()


@pytest_asyncio.fixture
async def aws(moto_url: str, proxy_port: int, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AwsProxy]:
    """An account with nothing but the boundary, behind the proxy, where boto3 looks for AWS."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    async with AwsProxy(moto_url).serving(proxy_port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        await make_boundary()
        for kept in (proxy.asked, proxy.calls, proxy.sent):
            kept.clear()
        yield proxy
        proxy.forget()
        # A test that failed half-way; emptying costs moto seconds, in which it reads all managed policies again.
        if await everything() != NOTHING:
            forget_all(moto_url)


@pytest.fixture
def order(tmp_path: Path) -> ClusterOrder:
    return ClusterOrder(name="eks-test-4", size=4, study=eks_study(), directory=tmp_path)


@pytest.fixture
def saved() -> list[Handle]:
    """What the ledger was given, in order."""
    return []


@pytest_asyncio.fixture
async def kubeconfig(tmp_path: Path) -> AsyncIterator[Path]:
    """Of an API that says it is the simulator, and has nothing else: moto has no nodes to prove a cluster by."""
    place = tmp_path / "simulated"
    place.mkdir()
    async with scripted(place) as (script, _):
        script.say("/api/v1/nodes", {"items": []})
        script.say("/sim/state", {})
        yield place / "kubeconfig"


@pytest.fixture
def provider(aws: AwsProxy, kubeconfig: Path) -> EksProvider:
    return EksProvider(kubeconfig, clients=CLIENTS)


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path) -> Iterator[None]:
    yield
    shutil.rmtree(tmp_path, ignore_errors=True)
