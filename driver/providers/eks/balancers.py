"""Load balancers in a cluster's network that no service's deletion took away.

The cluster's API was not reached, its controller gives none back, or something else than a service had them made. The
network is the run's own, so that whatever balances in it was made for its pods. Without them gone their interfaces
hold the network.
"""

from driver.providers.eks.account import Account
from driver.providers.eks.aws_errors import AwsError, AwsErrorKind


async def delete_balancers(account: Account, vpc: str) -> None:
    """Of both generations, and then their target groups. Raises AwsError, also where a list fails."""
    for service, field in (("elbv2", "LoadBalancers"), ("elb", "LoadBalancerDescriptions")):
        async for page in account.pages(service, "describe_load_balancers", ("Marker", "NextMarker")):
            for balancer in page[field]:
                # The older generation's answer spells it otherwise, and has no ARN.
                if vpc in (balancer.get("VpcId"), balancer.get("VPCId")):
                    named = ("LoadBalancerArn",) if service == "elbv2" else ("LoadBalancerName",)
                    await _delete(account, service, "delete_load_balancer", {key: balancer[key] for key in named})
    async for page in account.pages("elbv2", "describe_target_groups", ("Marker", "NextMarker")):
        for group in page["TargetGroups"]:
            if group.get("VpcId") == vpc:
                which = {"TargetGroupArn": group["TargetGroupArn"]}
                await _delete(account, "elbv2", "delete_target_group", which)


async def _delete(account: Account, service: str, operation: str, which: dict[str, str]) -> None:
    try:
        await account.call(service, operation, **which)
    except AwsError as error:
        # A balancer that is going still holds its target groups; those cost nothing and hold nothing themselves.
        if error.kind not in (AwsErrorKind.CONFLICT, AwsErrorKind.GONE):
            raise
