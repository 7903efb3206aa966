"""deploy/kustomize/production on a real API server that knows the Prometheus operator's ServiceMonitor; and linted."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.deploy.conftest import KUSTOMIZE
from tests.deploy.kubectl import Kubectl
from tests.stack.access import ApiRefusedError
from tests.stack.control_plane import ControlPlane
from tests.stack.home import StackHome
from tests.stack.wait import until

PRODUCTION = KUSTOMIZE / "production"
SECONDS = 60.0
CACHE_CLEAR = KUSTOMIZE.parent / "cache-clear.yaml"
# What kube-score would have otherwise, and why not.
ACCEPTED = {
    "container-image-pull-policy": "tags are of one version and never moved",
    "deployment-strategy": "two collectors must not hold one volume",
    "deployment-replicas": "the collector goes on from its spool; a second one needs a volume of its own",
    "deployment-has-host-podantiaffinity": "sinks are spread by a topology spread constraint",
}


def manifests(text: str) -> list[dict[str, Any]]:
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]


@pytest.fixture
async def kubectl(stack_home: StackHome, own_control_plane: ControlPlane) -> Kubectl:
    """On an API server that knows ServiceMonitors, with the namespace there: a dry run makes none for what is in it."""
    made = Kubectl(stack_home, own_control_plane.access.kubeconfig())
    await made.run("apply", "--server-side", "-f", stack_home.root / "share" / "servicemonitors.yaml")
    path = "/apis/monitoring.coreos.com/v1/servicemonitors"

    async def served() -> bool:
        try:
            await own_control_plane.access.request("GET", path)
        except ApiRefusedError:
            return False
        return True

    await until(served, SECONDS, path)
    await made.run("apply", "--server-side", "-f", KUSTOMIZE / "base" / "namespace.yaml")
    return made


@pytest.fixture
async def rendered(stack_home: StackHome, tmp_path: Path) -> str:
    """What would be applied; kubectl asks no server for it."""
    return await Kubectl(stack_home, tmp_path / "none").run("kustomize", PRODUCTION)


@pytest.mark.real
async def test_everything_together_is_taken_by_a_real_api_server(kubectl: Kubectl) -> None:
    wanted = manifests(await kubectl.run("kustomize", PRODUCTION))
    apply = ("apply", "--server-side", "--validate=strict", "-k", PRODUCTION)
    rehearsed = (await kubectl.run(*apply, "--dry-run=server", "--force-conflicts")).splitlines()
    applied = (await kubectl.run(*apply, "--force-conflicts")).splitlines()
    assert len(rehearsed) == len(applied) == len(wanted)
    assert all(line.endswith("serverside-applied (server dry run)") for line in rehearsed)
    kinds = Counter(manifest["kind"] for manifest in wanted)
    assert kinds["Deployment"] == kinds["PodDisruptionBudget"] == kinds["NetworkPolicy"] == kinds["Service"] == 2
    assert kinds["ServiceMonitor"] == 1
    collector = json.loads(await kubectl.run("-n", "pullstudy", "get", "deployment", "collector", "-o", "json"))
    assert "--kafka=$(KAFKA)" in collector["spec"]["template"]["spec"]["containers"][0]["args"]


@pytest.mark.real
async def test_a_field_that_does_not_exist_is_refused(kubectl: Kubectl, tmp_path: Path) -> None:
    """So that the test above is one that can fail."""
    rendered = await kubectl.run("kustomize", PRODUCTION)
    (tmp_path / "wrong.yaml").write_text(rendered.replace("livenessProbe:", "livenesProbe:"))
    with pytest.raises(Exception, match="unknown field"):
        await kubectl.run("apply", "--validate=strict", "--dry-run=server", "-f", tmp_path / "wrong.yaml")


@pytest.mark.real
async def test_the_daemon_set_that_clears_caches_is_taken_too(kubectl: Kubectl) -> None:
    said = await kubectl.run("apply", "--server-side", "--validate=strict", "-f", CACHE_CLEAR)
    assert "daemonset.apps/pullstudy-clear-" in said


@pytest.mark.real
async def test_every_service_and_budget_chooses_a_pod_and_every_probe_a_port(rendered: str) -> None:
    found = manifests(rendered)
    templates = [each["spec"]["template"] for each in found if each["kind"] == "Deployment"]
    labels = [template["metadata"]["labels"].items() for template in templates]
    for each in found:
        selector = {
            "Service": lambda spec: spec["selector"],
            "PodDisruptionBudget": lambda spec: spec["selector"]["matchLabels"],
            "NetworkPolicy": lambda spec: spec["podSelector"]["matchLabels"],
        }.get(each["kind"])
        if selector:
            assert any(selector(each["spec"]).items() <= own for own in labels), each["metadata"]["name"]
    monitor = next(each for each in found if each["kind"] == "ServiceMonitor")
    for service in (each for each in found if each["kind"] == "Service"):
        assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    for template in templates:
        (container,) = template["spec"]["containers"]
        (port,) = container["ports"]
        assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port["name"]}
        assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": port["name"]}
        assert f"--listen=:{port['containerPort']}" in container["args"]


@pytest.mark.real
async def test_kube_score_has_nothing_against_it_but_what_is_meant_so(stack_home: StackHome, rendered: str) -> None:
    pipe = asyncio.subprocess.PIPE
    words = ("score", "--output-format", "json", "-")
    child = await asyncio.create_subprocess_exec(stack_home.program("kube-score"), *words, stdin=pipe, stdout=pipe)
    output, _ = await child.communicate(rendered.encode())
    scored = json.loads(output)
    assert len(scored) >= 8
    wrong = {
        (each["object_name"], check["check"]["id"])
        for each in scored
        for check in each["checks"]
        if not check["skipped"] and check["grade"] < 10
    }
    assert {check for _, check in wrong} == ACCEPTED.keys(), wrong
