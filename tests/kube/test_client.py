"""What the edge to a cluster reads of an answer's head."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pullstudy.kube.access import Access
from pullstudy.kube.client import open_client
from pullstudy.kube.errors import StatusError
from pullstudy.kube.settings import WatchSettings
from tests.collector.api_server import ApiServer, refuse, serving, write_kubeconfig


@pytest.mark.parametrize("zone", ["GMT", "+0000", "-0000", ""])
async def test_the_servers_time_is_utc_however_a_proxy_writes_it(tmp_path: Path, zone: str) -> None:
    async with serving(ApiServer()) as server:
        access = Access(kubeconfig=str(write_kubeconfig(tmp_path / "kubeconfig", server.url)))
        server.instead["identity"].append(refuse(404, "no", {"Date": f"Tue, 24 Nov 2026 10:00:00 {zone}".strip()}))
        async with open_client(access, WatchSettings()) as client:
            with pytest.raises(StatusError, match="read namespace kube-system: the API server answered 404"):
                await client.get("read namespace kube-system", "/api/v1/namespaces/kube-system")
            assert client.server_time == datetime(2026, 11, 24, 10, tzinfo=UTC)
