"""kubernetes_asyncio, unchanged, finds a cluster."""

from pathlib import Path

import pytest
from kubernetes_asyncio import client, config, watch

from pullstudy.sim.kubeconfig import write_kubeconfig
from tests.sim.conftest import Api, job


async def test_the_client_works_through_the_kubeconfig(api: Api, tmp_path: Path) -> None:
    write_kubeconfig(tmp_path / "config", "sim-test", api.server.url)
    settings = client.Configuration()
    await config.load_kube_config(str(tmp_path / "config"), client_configuration=settings)
    async with client.ApiClient(settings) as connection:
        core, batch = client.CoreV1Api(connection), client.BatchV1Api(connection)
        nodes = (await core.list_node()).items
        assert [node.status.node_info.kubelet_version for node in nodes] == ["v1.34.4"] * 4
        assert (await client.VersionApi(connection).get_code()).minor == "34"
        version = (await core.list_event_for_all_namespaces()).metadata.resource_version
        created = await batch.create_namespaced_job("default", job("one"))  # type: ignore[arg-type]
        reasons = []
        async with watch.Watch() as watching:
            async for event in watching.stream(core.list_event_for_all_namespaces, resource_version=version):
                reasons.append(event["object"].reason)
                if reasons[-1] == "Completed":
                    break
        assert reasons.count("Pulled") == 2
        done = await batch.read_namespaced_job("one", "default")
        assert done.metadata.uid == created.metadata.uid
        assert done.status.succeeded == 2
        pods = (await core.list_namespaced_pod("default", label_selector="job-name=one")).items
        assert {pod.status.phase for pod in pods} == {"Succeeded"}
        answer = await batch.delete_namespaced_job("one", "default", propagation_policy="Background")
        assert answer.status == "Success"
        patched = await core.patch_node(nodes[0].metadata.name, {"metadata": {"labels": {"a": "b"}}})
        assert patched.metadata.labels["a"] == "b"
        with pytest.raises(client.ApiException, match="404"):
            await core.read_namespaced_pod("none", "default")
