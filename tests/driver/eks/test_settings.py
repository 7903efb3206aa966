"""What of EKS can be looked at without an account: template, prices, user data, tokens, a study's mistakes."""

import base64
import re
from contextlib import chdir
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from driver import cli
from driver.clusters.provider import ClusterOrder, Handle
from driver.commands.provider_plan import with_price
from driver.errors import UsageError
from driver.planning.eks_plan import EksPlan, EksPrices, Mode, Registry, Snapshotter, Volume
from driver.planning.study import CacheMode, ClusterPlan, RunPlan, Study
from driver.providers.eks.announcement import Announcer
from driver.providers.eks.aws_errors import read_error
from driver.providers.eks.duration import NODES, WHOLE, longest_seconds, overhead_of
from driver.providers.eks.network import template_text
from driver.providers.eks.preflight import check_study
from driver.providers.eks.prices import load_table, price_of
from driver.providers.eks.provider import EksProvider
from driver.providers.eks.token import credential, make_token
from driver.providers.eks.user_data import user_data

DEPLOY = Path(__file__).parents[3] / "deploy"
WARM = RunPlan(cache=CacheMode.WARM)
SMALL = Study(cluster=ClusterPlan(sizes=(4, 8, 16)))


def test_the_templates_hold_what_cloudformation_wants() -> None:
    from cfnlint import lint, lint_all

    network, janitor = template_text(), (DEPLOY / "eks-janitor.yaml").read_text()
    assert network == (DEPLOY / "eks-network.yaml").read_text()
    # The janitor may stand anywhere, and CodeBuild is not everywhere.
    matches = [*lint_all(network), *lint(janitor, regions=["us-east-1", "us-east-2"])]
    # I is advice: on metadata for those who guess at a template, which has its own description.
    assert [str(match) for match in matches if not match.rule.id.startswith("I")] == []


def test_the_accounts_own_janitor_types_what_the_command_says(capsys: pytest.CaptureFixture[str]) -> None:
    from cfnlint.decode.cfn_yaml import loads

    project = loads((DEPLOY / "eks-janitor.yaml").read_text())["Resources"]["Janitor"]["Properties"]
    (typed,) = re.findall(r"pulldriver (janitor .*?) \|\|", project["Source"]["BuildSpec"])
    words = [word.strip('"').replace("$region", "us-east-2") for word in typed.split()]
    assert cli.run(["janitor", "--region", "us-east-2", "--delete"]) == 2
    assert capsys.readouterr().err.endswith(f"run: pulldriver {' '.join(words)}\n")


def test_nodes_close_together_stand_in_the_stacks_placement_group() -> None:
    from cfnlint.decode.cfn_yaml import loads

    resources = loads(template_text())["Resources"]
    assert resources["NodePlacement"]["Properties"]["Strategy"] == "cluster"
    placement = resources["NodeTemplate"]["Properties"]["LaunchTemplateData"]["Placement"]
    condition, close, apart = placement["Fn::If"]
    assert condition == resources["NodePlacement"]["Condition"] == "HasPlacementGroup"
    assert close == {"GroupName": {"Ref": "NodePlacement"}}
    assert apart == {"Ref": "AWS::NoValue"}


def test_a_cluster_costs_its_control_plane_nodes_volumes_and_addresses() -> None:
    price = price_of(Study(), 4, load_table())
    assert price.base == 0.10
    assert price.nodes == pytest.approx(4 * (0.616 + 150 * 0.10 / 730 + 0.005))


def test_the_users_prices_go_over_the_table() -> None:
    study = Study(eks=EksPlan(prices=EksPrices(node_hour=1.0, control_plane_hour=0.6)))
    price = price_of(study, 1, load_table())
    assert (price.node, price.base) == (1.0, 0.6)


def test_a_run_is_kept_with_the_price_of_its_nodes() -> None:
    study = msgspec.structs.replace(SMALL, cluster=ClusterPlan(sizes=(4,), node_type="c5ad.4xlarge"))
    priced = with_price(study, EksProvider())
    assert priced.cluster.price.per_node_hour == 0.688
    assert with_price(priced, EksProvider()) == priced
    assert price_of(priced, 4, load_table()) == price_of(study, 4, load_table())


def test_an_instance_without_a_price_is_named() -> None:
    with pytest.raises(UsageError, match=r"no price is known of x9\.huge in us-east-2"):
        price_of(Study(cluster=ClusterPlan(node_type="x9.huge")), 1, load_table())


def test_volumes_of_a_region_that_is_not_in_the_table_are_not_priced_by_another() -> None:
    far = ClusterPlan(region="eu-central-1")
    with pytest.raises(UsageError, match="no price is known of volumes gp2 in eu-central-1"):
        price_of(Study(cluster=far, eks=EksPlan(prices=EksPrices(node_hour=0.7))), 1, load_table())
    own = EksPrices(node_hour=0.7, volume_gigabyte_month=0.119)
    assert price_of(Study(cluster=far, eks=EksPlan(prices=own)), 1, load_table()).node == 0.7


def test_the_command_that_takes_all_down_is_right_from_any_directory(tmp_path: Path) -> None:
    saved = list[Handle]()
    with chdir(tmp_path):
        order = ClusterOrder(name="eks-test-4", size=4, study=Study(), directory=Path("out"))
        announcer = Announcer(order, saved.append, now=lambda: datetime(2026, 1, 1, tzinfo=UTC), kubeconfig=None)
        handle = announcer.begin("123456789012", "abcd")
    assert handle.way_out == f"pulldriver down --out {tmp_path}/out"
    assert saved[-1]["directory"] == f"{tmp_path}/out"


def test_a_bad_signature_is_told_without_the_token_that_came_with_it() -> None:
    said = "The request signature does not match.\n\nThe Canonical String for this request should have been\n'POST\n/"
    error = ClientError(
        {"Error": {"Code": "SignatureDoesNotMatch", "Message": f"{said}\nx-amz-security-token:IQ"}}, "x"
    )
    assert str(read_error("x", error)) == "AWS x: SignatureDoesNotMatch (The request signature does not match.)"


def test_missing_credentials_are_told_with_the_variables_that_bring_them() -> None:
    assert "set AWS_PROFILE, or AWS_ACCESS_KEY_ID" in str(read_error("x", NoCredentialsError()))


def test_nodes_are_told_only_what_the_study_says() -> None:
    assert user_data(EksPlan()) == ""
    told = base64.b64decode(user_data(EksPlan(snapshotter=Snapshotter.SOCI_PARALLEL, local_ssd=True))).decode()
    assert '"FastImagePull":true' in told
    assert '"strategy":"RAID0"' in told


@pytest.mark.parametrize(
    ("version", "table"),
    [("", "cri.v1.images"), ("1.33", "cri.v1.images"), ("1.32", "grpc.v1.cri"), ("2.0", "cri.v1.images")],
)
def test_the_downloads_at_once_are_told_by_the_name_that_the_nodes_containerd_has(version: str, table: str) -> None:
    """Else nodeadm ends with an error, and the node never joins."""
    told = base64.b64decode(user_data(EksPlan(layer_downloads=8, kubernetes_version=version))).decode()
    assert f'"[plugins.\\"io.containerd.{table}\\"]\\nmax_concurrent_downloads = 8\\n"' in told


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (EksPlan(zones=("a", "a")), "eks.zones"),
        (EksPlan(volume=Volume(type="io2")), "gp2 or gp3"),
        (EksPlan(volume=Volume(throughput=600)), "are of gp3"),
        (EksPlan(volume=Volume(type="gp3", throughput=100)), "at least 125 MiB/s"),
        (EksPlan(volume=Volume(type="gp3", throughput=1000)), "1000 MiB/s want iops = 4000 or more"),
        (EksPlan(volume=Volume(type="gp3", gigabytes=20, iops=16000)), "16000 IOPS want gigabytes = 32 or more"),
        (EksPlan(ami_type="CUSTOM"), "one of EKS' own that begins with AL2023_"),
        (EksPlan(snapshotter=Snapshotter.SOCI_PARALLEL), "600 MiB/s"),
        (EksPlan(local_ssd=True, ami_type="BOTTLEROCKET_x86_64"), "AL2023"),
        (EksPlan(registry=Registry.SAME_REGION), "does not lie in ECR of us-east-2"),
    ],
)
def test_a_study_that_cannot_be_is_refused_before_anything_is_made(plan: EksPlan, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_study(Study(run=WARM, eks=plan))


def test_caches_that_cannot_be_cleared_are_said_before_a_cluster_is_paid_for() -> None:
    check_study(SMALL)
    with pytest.raises(UsageError, match="--cache warm"):
        check_study(Study(eks=EksPlan(ami_type="BOTTLEROCKET_x86_64")))


def test_a_plan_that_is_longer_than_its_clusters_may_live_is_refused() -> None:
    """Else a janitor would take a sweep's cluster away from under it."""
    short = msgspec.structs.replace(SMALL, eks=EksPlan(ttl_hours=0.5))
    with pytest.raises(UsageError, match=r"eks\.ttl_hours is 0\.5, and a cluster is up for about 0\.\d h"):
        check_study(short)
    three = msgspec.structs.replace(SMALL, eks=EksPlan(ttl_hours=1.25, mode=Mode.SHARED))
    with pytest.raises(UsageError, match="the control plane that all sizes share is up for about"):
        check_study(three)
    check_study(msgspec.structs.replace(three, eks=EksPlan(ttl_hours=1.25)))


def test_a_plan_says_what_is_made_and_what_that_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = tmp_path / "study.toml"
    study.write_text(
        '[cluster]\nnode_type = "c5ad.4xlarge"\n[eks]\nmode = "shared"\nlocal_ssd = true\nlayer_downloads = 8\n'
        'placement_group = true\nsnapshotter = "soci-parallel"\n[eks.volume]\ntype = "gp3"\nthroughput = 700\n'
        "[eks.prices]\nnode_hour = 0.5\nas_of = 2026-01-02\n"
    )
    assert cli.run(["plan", "--provider", "eks", "--sizes", "4,8", "--study", str(study)]) == 0
    said = capsys.readouterr().out
    for words in (
        "c5ad.4xlarge at 0.5 USD an hour (2026-01-02)",
        "a control plane 0.10, a node 0.5 + its volume and address 0.0",
        "once for all sizes, in us-east-2: a stack",
        "a node group of c5ad.4xlarge on demand, in a placement group in one of two zones, AL2023_x86_64_STANDARD",
        "a volume of 150 GB gp3 700 MiB/s, a public address; images on its own disks, SOCI's parallel pull, 8 layers",
        "past its expiry 12 h after it was begun",
    ):
        assert words in said, said


def test_a_shared_control_plane_is_made_for_the_first_size_and_deleted_after_the_last() -> None:
    shared = msgspec.structs.replace(SMALL, eks=EksPlan(mode=Mode.SHARED))
    first, middle, last = (overhead_of(shared, size) for size in shared.sizes)
    assert (first.make_seconds, last.delete_seconds) == (WHOLE.make_seconds, WHOLE.delete_seconds)
    assert (first.delete_seconds, last.make_seconds) == (NODES.delete_seconds, NODES.make_seconds)
    assert middle == NODES
    assert longest_seconds(shared) > longest_seconds(SMALL)


def test_a_token_is_a_signed_address_for_this_cluster_and_said_to_end_before_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    token = make_token("eks-test", "us-east-2")
    scheme, _, rest = token.partition(".")
    url = base64.urlsafe_b64decode(rest + "=" * (-len(rest) % 4)).decode()
    assert scheme == "k8s-aws-v1"
    assert url.startswith("https://sts.us-east-2.amazonaws.com/?Action=GetCallerIdentity")
    assert "x-k8s-aws-id" in url
    told = credential(token, datetime(2026, 1, 1, tzinfo=UTC))
    assert told["status"]["expirationTimestamp"] == "2026-01-01T00:13:00Z"
    assert msgspec.json.encode(told)


@pytest.mark.parametrize(("token", "prefix"), [("simulated", "sim-eks-"), ("abc", "eks-")])
def test_a_simulator_in_a_clusters_place_is_in_the_name_of_every_record(
    tmp_path: Path, token: str, prefix: str
) -> None:
    kubeconfig = tmp_path / "F"
    assert EksProvider(kubeconfig).prefix == "eks-"
    kubeconfig.write_bytes(msgspec.json.encode({"users": [{"name": "x", "user": {"token": token}}]}))
    assert EksProvider(kubeconfig).prefix == prefix
    kubeconfig.write_text("users:\n- name: x\n  user: {token: simulated}\n")
    assert EksProvider(kubeconfig).prefix == "eks-"
