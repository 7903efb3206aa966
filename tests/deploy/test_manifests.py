"""The manifests of deploy/kustomize, taken by a real API server, and their pod by the restricted standard."""

from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.deploy.conftest import KUSTOMIZE, PARTS, Applied
from tests.stack.access import ApiRefusedError
from tests.stack.pod import pod
from tests.stack.wait import until

POD_SECONDS = 60


@pytest.mark.real
@pytest.mark.parametrize("part", PARTS)
async def test_every_manifest_passes_the_servers_dry_run_and_is_applied(applied: Applied, part: str) -> None:
    rendered = await applied.kubectl.run("kustomize", KUSTOMIZE / part)
    objects = [manifest for manifest in yaml.safe_load_all(rendered) if manifest]
    assert len(applied.rehearsed[part]) == len(objects)
    assert all(line.endswith("serverside-applied (server dry run)") for line in applied.rehearsed[part])
    assert len(applied.applied[part]) == len(objects)
    assert all(line.endswith("serverside-applied") for line in applied.applied[part])


async def collector_pods(applied: Applied) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    path = "/api/v1/namespaces/pullstudy/pods?labelSelector=app.kubernetes.io/name=collector"

    async def made() -> bool:
        found[:] = (await applied.cluster.access.request("GET", path))["items"]
        return bool(found)

    await until(made, POD_SECONDS, "the Deployment's pod")
    return found


@pytest.mark.real
async def test_the_pod_is_let_in_by_the_restricted_standard_which_refuses_another(applied: Applied) -> None:
    (found,) = await collector_pods(applied)
    (container,) = found["spec"]["containers"]
    assert found["spec"]["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["resources"]["limits"].keys() == {"cpu", "memory", "ephemeral-storage"}
    with pytest.raises(ApiRefusedError) as refused:
        await applied.cluster.access.request("POST", "/api/v1/namespaces/pullstudy/pods", pod("other", ["i:1"]))
    assert refused.value.status == 403
    assert "violates PodSecurity" in str(refused.value)


@pytest.mark.real
async def test_the_disruption_budget_and_the_network_policy_choose_the_collectors_pod(applied: Applied) -> None:
    (found,) = await collector_pods(applied)
    request = applied.cluster.access.request
    budget = await request("GET", "/apis/policy/v1/namespaces/pullstudy/poddisruptionbudgets/collector")
    policy = await request("GET", "/apis/networking.k8s.io/v1/namespaces/pullstudy/networkpolicies/collector")
    for selector in (budget["spec"]["selector"], policy["spec"]["podSelector"]):
        assert selector["matchLabels"].items() <= found["metadata"]["labels"].items()


def test_the_image_is_built_from_a_base_that_the_build_must_name_and_runs_as_a_number() -> None:
    """By a digest: tests/deploy/test_locks.py."""
    lines = (KUSTOMIZE.parent / "Containerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("ARG PYTHON")] == ["ARG PYTHON", "ARG PYTHON"]
    assert {line.split()[1] for line in lines if line.startswith("FROM ")} == {"${PYTHON}"}
    (user,) = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert user == "65532:65532"


def test_the_image_has_every_package_of_the_wheel() -> None:
    import tomllib

    root = KUSTOMIZE.parents[1]
    wheel = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    copied = [line.split()[1] for line in (root / "deploy/Containerfile").read_text().splitlines() if "COPY " in line]
    assert set(wheel["packages"]) <= set(copied)
