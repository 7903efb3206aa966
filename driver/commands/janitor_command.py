"""``pulldriver janitor``."""

import asyncio
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from driver.commands.options import Json
from driver.errors import ProviderError, UnaskedError

if TYPE_CHECKING:
    from driver.providers.eks.account import Account
    from driver.providers.eks.janitor import LeftCluster


def janitor_command(
    region: Annotated[str, typer.Option("--region", metavar="REGION", help="Where to look.")] = "us-east-2",
    delete: Annotated[bool, typer.Option("--delete", help="Delete what is past its expiry.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before deleting.")] = False,
    json: Json = False,
) -> None:
    """List clusters on EKS that were left behind, by their tags, in this account; delete those past their expiry.

    Exit codes: 0 nothing is past its expiry, or all of it was deleted; 1 something is, or could not be.

    Examples:

      pulldriver janitor --region us-east-2

      pulldriver janitor --region us-east-2 --delete
    """
    if delete and not yes and not sys.stdin.isatty():
        raise UnaskedError("clusters may be deleted, and nobody can be asked here")
    if _clean(region, delete=delete, yes=yes, json=json):
        raise typer.Exit(1)


def _clean(region: str, *, delete: bool, yes: bool, json: bool) -> bool:
    """Whether anything past its expiry is left."""
    from driver.planning.eks_plan import Patience
    from driver.providers.eks.account import Account, Clients, load_boto3
    from driver.providers.eks.janitor import find_left_clusters

    load_boto3()
    account = Account(Clients(region), retry_seconds=Patience().retry_seconds)

    async def look() -> "list[LeftCluster]":
        return await find_left_clusters(account, await account.number(), datetime.now(UTC))

    found = asyncio.run(look())
    print(msgspec.json.format(msgspec.json.encode(found)).decode() if json else "\n".join(say_found(found, region)))
    left = [each for each in found if each.expired]
    try:
        if delete and left:
            if not yes:
                typer.confirm(f"Delete the {len(left)} that are past their expiry?", abort=True)
            asyncio.run(_delete(account, left))
    finally:  # after Ctrl-C too
        if left:
            what = f"{len(left)} past {'its' if len(left) == 1 else 'their'} expiry"
            print(f"pulldriver: {what}; run: pulldriver janitor --region {region} --delete --yes", file=sys.stderr)
    return bool(left)


async def _delete(account: "Account", left: "list[LeftCluster]") -> None:
    """Takes from the list what is deleted."""
    from driver.planning.eks_plan import Patience
    from driver.providers.eks.janitor import delete_left_cluster
    from driver.providers.eks.waiting import EksWaiting

    waiting = EksWaiting(Patience(), now=lambda: datetime.now(UTC), sleep=asyncio.sleep)
    for each in list(left):
        try:
            await delete_left_cluster(account, waiting, each)
        except ProviderError as error:  # the others are deleted all the same
            print(f"pulldriver: {each.cluster or each.run}: {error}", file=sys.stderr)
        else:
            left.remove(each)
            print(f"{each.cluster or each.run}: deleted", file=sys.stderr)


def say_found(found: "list[LeftCluster]", region: str) -> Iterator[str]:
    """A line a cluster, and what there is of it."""
    if not found:
        yield f"nothing of pulldriver is in {region}"
    for each in found:
        end = "has no readable expiry" if each.expires_at is None else f"expires {each.expires_at:%Y-%m-%d %H:%M} UTC"
        state = "PAST ITS EXPIRY" if each.expired else "left alone"
        yield f"{each.cluster or each.run}: study {each.study}, of {each.owner}, {end}: {state}"
        yield f"  {', '.join(each.things)}"
