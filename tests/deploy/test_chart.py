"""deploy/helm/pullstudy makes the objects that deploy/kustomize makes, on a real API server too."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.deploy.conftest import KUSTOMIZE
from tests.deploy.helm import CHART, LAYERS, Helm
from tests.deploy.kubectl import Kubectl
from tests.stack.access import ApiRefusedError
from tests.stack.control_plane import ControlPlane
from tests.stack.error import StackError
from tests.stack.home import StackHome

Object = dict[str, Any]
NAMESPACES = {"base": "pullstudy", "namespaced": "pulling-study", "production": "pullstudy", "driver": "pullstudy"}
KEEP = "helm.sh/resource-policy"
EDGES = """
configMapGenerator:
  - name: edges
    namespace: pullstudy
    options: {labels: {app.kubernetes.io/part-of: pullstudy}}
    literals: ["influx=http://influxdb.influxdb:8086", organisation=pullstudy, bucket=pulls]
"""


def objects(text: str) -> dict[tuple[str, str, str], Object]:
    """By kind, namespace and name, without what helm alone reads."""
    found = {}
    for each in yaml.safe_load_all(text):
        if each:
            metadata = each["metadata"]
            if metadata.get("annotations", {}).keys() == {KEEP}:
                del metadata["annotations"]
            found[each["kind"], metadata.get("namespace", ""), metadata["name"]] = each
    return found


@pytest.fixture
def helm(stack_home: StackHome, tmp_path: Path) -> Helm:
    """Without a cluster."""
    return Helm(stack_home, tmp_path)


@pytest.fixture
def kubectl(stack_home: StackHome, tmp_path: Path) -> Kubectl:
    """Without a cluster."""
    return Kubectl(stack_home, tmp_path / "none")


@pytest.mark.real
@pytest.mark.parametrize("layer", NAMESPACES)
async def test_the_chart_makes_the_objects_of_each_kustomize_layer(helm: Helm, kubectl: Kubectl, layer: str) -> None:
    made = objects(await helm.template(NAMESPACES[layer], "--values", LAYERS / f"{layer}.yaml"))
    wanted = objects(await kubectl.run("kustomize", KUSTOMIZE / layer))
    if layer == "driver":  # a layer beside the base
        wanted |= objects(await kubectl.run("kustomize", KUSTOMIZE / "base"))
    assert made == wanted


@pytest.mark.real
async def test_the_chart_with_influxdb_alone_makes_the_objects_of_that_component(
    helm: Helm, kubectl: Kubectl, tmp_path: Path
) -> None:
    here = Path("../" * len(tmp_path.parts[1:]) + str(KUSTOMIZE)[1:])
    overlay = f"resources: [{here / 'base'}]\ncomponents: [{here / 'influxdb'}]\n{EDGES}"
    (tmp_path / "kustomization.yaml").write_text(overlay)
    made = objects(await helm.template("pullstudy", "--values", LAYERS / "influxdb.yaml"))
    assert made == objects(await kubectl.run("kustomize", tmp_path))


def test_each_layer_of_kustomize_has_its_values() -> None:
    components = {"kafka", "monitoring"}  # production is both
    directories = {each.name for each in KUSTOMIZE.iterdir() if each.is_dir()}
    assert {path.stem for path in LAYERS.iterdir()} == directories - components


@pytest.mark.real
async def test_without_values_the_chart_makes_no_namespace(helm: Helm) -> None:
    kinds = {kind for kind, _, _ in objects(await helm.template("elsewhere"))}
    assert "Namespace" not in kinds
    assert "Deployment" in kinds


@pytest.mark.real
async def test_spans_are_taken_where_they_are_asked_for_and_from_those_alone_who_may_send_them(helm: Helm) -> None:
    on = ("--set", "collector.otlp.enabled=true")
    made = objects(await helm.template("p", *on, "--set", "collector.otlp.from[0].ipBlock.cidr=10.0.0.0/16"))
    (container,) = made["Deployment", "p", "collector"]["spec"]["template"]["spec"]["containers"]
    assert {"--otlp=:4318", "--otlp-grpc=:4317"} <= set(container["args"])
    ports = made["Service", "p", "collector-otlp"]["spec"]["ports"]
    assert {each["targetPort"] for each in ports} <= {each["name"] for each in container["ports"]}
    _, allowed = made["NetworkPolicy", "p", "collector"]["spec"]["ingress"]
    assert allowed["from"] == [{"ipBlock": {"cidr": "10.0.0.0/16"}}]
    assert {each["port"] for each in allowed["ports"]} == {each["port"] for each in ports}
    closed = objects(await helm.template("p", *on))
    assert len(closed["NetworkPolicy", "p", "collector"]["spec"]["ingress"]) == 1
    assert ("Service", "p", "collector-otlp") not in objects(await helm.template("p"))


@pytest.mark.real
async def test_helm_lint_has_nothing_against_it(helm: Helm) -> None:
    for values in LAYERS.iterdir():
        assert "0 chart(s) failed" in await helm.run("lint", "--strict", CHART, "--values", values)


@pytest.mark.real
@pytest.mark.parametrize(
    "value",
    [
        "sinks.replica=3",
        "scope=all",
        "kafka.bootstrap=kafka",
        "influxdb.url=influx:8086",
        "influxdb.environment.TOKEN=t",
        "collector.arguments[0]=no-reconcile",
        "network.apiServerPorts[0]=0",
        "collector.otlp.enable=true",
    ],
)
async def test_a_value_that_is_none_is_refused_and_named(helm: Helm, value: str) -> None:
    where = value.partition(".")[0].partition("=")[0]
    with pytest.raises(StackError, match=f"at '/{where}"):
        await helm.template("x", "--set", value)


@pytest.mark.real
async def test_what_the_edges_ask_for_is_let_through_and_mounted(helm: Helm) -> None:
    values = "kafka.bootstrap=a:9093\\,b:9094,kafka.secret=login,influxdb.url=https://influx.example,influxdb.token=t"
    made = objects(await helm.template("p", "--set", values, "--set", "kafka.environment.KAFKA_SASL_USERNAME=me"))
    egress = made["NetworkPolicy", "p", "sink"]["spec"]["egress"]
    assert [each["port"] for each in egress[-1]["ports"]] == [9093, 9094, 443]
    (sink,) = made["Deployment", "p", "sink"]["spec"]["template"]["spec"]["containers"]
    assert {each["mountPath"] for each in sink["volumeMounts"]} == {"/run/influxdb", "/run/kafka", "/tmp"}
    assert {"name": "KAFKA_SASL_USERNAME", "value": "me"} in sink["env"]
    assert made["Secret", "p", "influxdb"]["stringData"] == {"token": "t"}


def test_the_versions_of_package_chart_and_kustomize_are_one() -> None:
    project = tomllib.loads((CHART.parents[2] / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (project, project)
    for overlay in ("base", "production"):
        (image,) = yaml.safe_load((KUSTOMIZE / overlay / "kustomization.yaml").read_text())["images"]
        assert image["newTag"] == project


# On a real API server


@pytest.fixture
async def server(own_control_plane: ControlPlane) -> ControlPlane:
    """Of the test's own, so that objects of the cluster are nobody else's."""
    return own_control_plane


@pytest.mark.real
async def test_the_objects_are_taken_by_a_server_side_apply(
    stack_home: StackHome, server: ControlPlane, tmp_path: Path
) -> None:
    kubeconfig = server.access.kubeconfig()
    kubectl, helm = Kubectl(stack_home, kubeconfig), Helm(stack_home, tmp_path, kubeconfig)
    rendered = await helm.template("pullstudy", "--values", LAYERS / "driver.yaml", "--set", "kafka.bootstrap=k:9092")
    (tmp_path / "all.yaml").write_text(rendered)
    said = await kubectl.run("apply", "--server-side", "--validate=strict", "-f", tmp_path / "all.yaml")
    assert len(said.splitlines()) == len(objects(rendered))


@pytest.mark.real
async def test_first_the_namespace_then_all_else_in_the_order_of_the_documents(
    stack_home: StackHome, server: ControlPlane, tmp_path: Path
) -> None:
    """A release keeps its own Secret in its namespace, which so has to be there before."""
    kubeconfig = server.access.kubeconfig()
    kubectl, helm = Kubectl(stack_home, kubeconfig), Helm(stack_home, tmp_path, kubeconfig)
    first = ("--set", "namespace.create=true", "--show-only", "templates/namespace.yaml")
    (tmp_path / "namespace.yaml").write_text(await helm.template("pullstudy", *first))
    await kubectl.run("apply", "--server-side", "-f", tmp_path / "namespace.yaml")
    (tmp_path / "token").write_text("secret\n")
    command = ["upgrade", "--install", "pullstudy", CHART, "--namespace", "pullstudy"]
    command += ["--set", "influxdb.url=http://influxdb:8086", "--set-file", f"influxdb.token={tmp_path / 'token'}"]
    assert "create secret generic" not in await helm.run(*command)
    namespace = await server.access.request("GET", "/api/v1/namespaces/pullstudy")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    secret = await server.access.request("GET", "/api/v1/namespaces/pullstudy/secrets/influxdb")
    assert secret["data"]["token"] == "c2VjcmV0"

    await helm.run(*command, "--set", "cluster=another")
    deployment = json.loads(await kubectl.run("-n", "pullstudy", "get", "deployment", "collector", "-o", "json"))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    settings = container["env"][0]["valueFrom"]["configMapKeyRef"]["name"]
    path = f"/api/v1/namespaces/pullstudy/configmaps/{settings}"
    assert (await server.access.request("GET", path))["data"] == {"cluster": "another"}

    await helm.run("uninstall", "pullstudy", "--namespace", "pullstudy")
    volume = "/api/v1/namespaces/pullstudy/persistentvolumeclaims/collector-data"
    kept = await server.access.request("GET", volume)
    assert "deletionTimestamp" not in kept["metadata"], "the records outlive the release"
    with pytest.raises(ApiRefusedError):
        await server.access.request("GET", "/apis/apps/v1/namespaces/pullstudy/deployments/collector")
    await helm.run(*command)


@pytest.mark.real
async def test_a_namespace_and_a_secret_that_are_there_are_left_alone(
    stack_home: StackHome, server: ControlPlane, tmp_path: Path
) -> None:
    kubeconfig = server.access.kubeconfig()
    kubectl, helm = Kubectl(stack_home, kubeconfig), Helm(stack_home, tmp_path, kubeconfig)
    await kubectl.run("create", "namespace", "watched")
    await kubectl.run("-n", "watched", "create", "secret", "generic", "influxdb", "--from-literal=token=mine")
    values = "scope=namespace,influxdb.url=http://influx:8086"
    said = await helm.run("install", "pullstudy", CHART, "--namespace", "watched", "--set", values)
    assert "kubectl -n watched create secret generic influxdb" in said
    await helm.run("install", "second", CHART, "--namespace", "default", "--set", "scope=namespace")
    await helm.run("uninstall", "pullstudy", "--namespace", "watched")
    secret = await server.access.request("GET", "/api/v1/namespaces/watched/secrets/influxdb")
    assert secret["data"]["token"] == "bWluZQ=="
