"""The stack under a cluster: VPC, roles and launch template, made and deleted by CloudFormation."""

from pathlib import Path

import msgspec

from driver.errors import ProviderError
from driver.providers.eks.account import Account, Answer
from driver.providers.eks.aws_errors import AwsError, AwsErrorKind
from driver.providers.eks.handle import EksHandle
from driver.providers.eks.tags import EXPIRES, OWNER, RUN, STUDY, ours, unlisted
from driver.providers.eks.user_data import user_data
from driver.providers.eks.waiting import EksWaiting

TEMPLATE = "eks-network.yaml"


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """The outputs of the template."""

    vpc: str
    subnets: tuple[str, ...]  # the first lies in the first zone
    cluster_role: str
    node_role: str
    node_template: str
    node_template_version: str


def template_text() -> str:
    """The template, as shipped: deploy/ of a clone, beside this file in an installed package."""
    beside, cloned = Path(__file__).with_name(TEMPLATE), Path(__file__).parents[3] / "deploy" / TEMPLATE
    return (beside if beside.exists() else cloned).read_text(encoding="utf-8")


async def find_stack(account: Account, name: str) -> Answer | None:
    """The stack of that name (or id), None where there is none."""
    if not name:
        return None
    try:
        found = await account.call("cloudformation", "describe_stacks", StackName=name)
    except AwsError as error:
        if error.kind is AwsErrorKind.GONE:
            return None
        raise
    stack: Answer = found["Stacks"][0]
    return None if stack["StackStatus"] == "DELETE_COMPLETE" else stack


async def make_network(account: Account, waiting: EksWaiting, handle: EksHandle, zones: list[str]) -> Network:
    """Make the stack, or take it up where it was made and the answer was lost. Raises ProviderError."""
    try:
        await account.call(
            "cloudformation",
            "create_stack",
            StackName=handle.stack,
            TemplateBody=template_text(),
            Parameters=_parameters(handle, zones),
            Capabilities=["CAPABILITY_IAM"],
            OnFailure="DO_NOTHING",  # the way down deletes it, and its events say why
            Tags=handle.mark.listed(),
            ClientRequestToken=f"create-{handle.mark.run}",
        )
    except AwsError as error:
        if error.kind is not AwsErrorKind.CONFLICT:
            raise
    what = f"making stack {handle.stack}"
    stack = await waiting.until(lambda: _made(account, handle), what, waiting.patience.create_seconds)
    if stack["StackStatus"] != "CREATE_COMPLETE":
        raise ProviderError(f"stack {handle.stack}: {stack['StackStatus']}: {await _why(account, handle.stack)}")
    return read_outputs(stack)


async def stand_on_network(account: Account, handle: EksHandle) -> Network:
    """The one that the size before left. Raises ProviderError where it is no more."""
    stack = await find_stack(account, handle.stack)
    if stack is None:
        raise ProviderError(f"stack {handle.stack}, which all sizes share, is gone")
    return read_outputs(stack)


async def _made(account: Account, handle: EksHandle) -> Answer | None:
    """The stack once nothing more happens to it."""
    stack = await find_stack(account, handle.stack)
    if stack is None:  # not yet seen everywhere
        return None
    if not ours(unlisted(stack.get("Tags", [])), handle.mark.run):
        raise ProviderError(f"stack {handle.stack} exists and is not ours: it is left alone; try again")
    return None if stack["StackStatus"].endswith("_IN_PROGRESS") else stack


def read_outputs(stack: Answer) -> Network:
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    return Network(
        vpc=outputs["Vpc"],
        subnets=tuple(outputs[key] for key in ("SubnetA", "SubnetB", "SubnetC") if key in outputs),
        cluster_role=outputs["ClusterRole"],
        node_role=outputs["NodeRole"],
        node_template=outputs["NodeTemplate"],
        node_template_version=str(outputs["NodeTemplateVersion"]),
    )


def _parameters(handle: EksHandle, zones: list[str]) -> list[dict[str, str]]:
    plan, tags = handle.plan, handle.mark.tags()
    given = {
        "ZoneA": zones[0],
        "ZoneB": zones[1],
        "ZoneC": zones[2] if len(zones) > 2 else "",
        # Bottlerocket keeps images on its second volume, and its own on the first.
        "VolumeDevice": "/dev/xvdb" if plan.ami_type.startswith("BOTTLEROCKET") else "/dev/xvda",
        "VolumeType": plan.volume.type,
        "VolumeGigabytes": str(plan.volume.gigabytes),
        "VolumeThroughput": str(plan.volume.throughput),
        "VolumeIops": str(plan.volume.iops),
        "PlacementGroup": "yes" if plan.placement_group else "no",
        "UserData": user_data(plan),
        "Study": tags[STUDY],
        "Run": tags[RUN],
        "Owner": tags[OWNER],
        "ExpiresAt": tags[EXPIRES],
    }
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]


async def _why(account: Account, stack: str) -> str:
    """The first thing that went wrong: what comes after is only its being cancelled."""
    said = []
    async for page in account.pages(
        "cloudformation", "describe_stack_events", ("NextToken", "NextToken"), StackName=stack
    ):
        said += [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', event['ResourceStatus'])}"
            for event in page["StackEvents"]
            if event.get("ResourceStatus", "").endswith("_FAILED")
        ]
    return said[-1] if said else "its events do not say why"


async def delete_network(account: Account, waiting: EksWaiting, stack: Answer) -> str:
    """Ask for the stack's deletion and wait for its end. Why it is still there; empty: it is gone."""
    name = stack["StackId"]
    try:
        await account.call("cloudformation", "delete_stack", StackName=name)
    except AwsError as error:
        if error.kind is not AwsErrorKind.CONFLICT:
            raise
        return str(error)

    async def ended() -> str | None:
        found = await find_stack(account, name)
        if found is None:
            return ""
        status: str = found["StackStatus"]
        return status if status == "DELETE_FAILED" else None

    what = f"deleting stack {stack['StackName']}"
    return await waiting.until(ended, what, waiting.patience.delete_seconds)
