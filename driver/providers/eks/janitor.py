"""What runs left behind in this account, and whose time is over: found by tags alone, when no ledger is left."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from driver.errors import ProviderError
from driver.providers.eks.access import free_balancers, write_kubeconfig
from driver.providers.eks.account import Account
from driver.providers.eks.control_plane import find_cluster, read_plane
from driver.providers.eks.handle import EksStep
from driver.providers.eks.inventory import Found, say_found, take_inventory
from driver.providers.eks.tags import OWNER, STUDY, expiry_of
from driver.providers.eks.teardown import Teardown
from driver.providers.eks.waiting import EksWaiting
from pullstudy.kube.errors import KubeError


class LeftCluster(msgspec.Struct, frozen=True, kw_only=True):
    """All that there is of one run's cluster. ``expires_at`` is the latest that any of it says; None: unreadable."""

    run: str
    study: str
    owner: str
    expires_at: datetime | None
    expired: bool
    things: tuple[str, ...]
    cluster: str
    stack: str


async def find_left_clusters(account: Account, number: str, now: datetime) -> list[LeftCluster]:
    """Of this account alone, expired or not; the oldest first. Raises AwsError where any list fails."""
    by_run: dict[str, list[Found]] = {}
    for found in await take_inventory(account):
        if found.account in ("", number):
            by_run.setdefault(found.run, []).append(found)
    groups = [_group(run, things, now) for run, things in by_run.items()]
    return sorted(groups, key=lambda each: (each.expires_at is None, each.expires_at or now))


def _group(run: str, things: list[Found], now: datetime) -> LeftCluster:
    ends = [expiry_of(found.tags) for found in things]
    known = [end for end in ends if end is not None]
    # One thing without a readable end keeps all: whoever changed it may have meant to.
    latest = max(known) if len(known) == len(ends) else None
    return LeftCluster(
        run=run,
        study=things[0].tags.get(STUDY, ""),
        owner=things[0].tags.get(OWNER, ""),
        expires_at=latest,
        expired=latest is not None and latest < now,
        things=tuple(map(say_found, things)),
        cluster=_name(things, "cluster"),
        stack=_name(things, "stack"),
    )


def _name(things: Iterable[Found], kind: str) -> str:
    """Stack and cluster have one name: where one is gone, the other tells it."""
    names = {found.kind: found.name for found in things}
    return names.get(kind) or names.get("cluster") or names.get("stack") or ""


async def delete_left_cluster(account: Account, waiting: EksWaiting, forgotten: LeftCluster) -> None:
    """Take it down in the usual order. Raises ProviderError that names what is left."""

    async def free() -> None:
        cluster = await find_cluster(account, forgotten.cluster)
        if cluster is None or "endpoint" not in cluster:
            return
        # Its API may know other identities than ours, or lie behind a tunnel: what is left is found in the network.
        with TemporaryDirectory() as directory, suppress(KubeError, ProviderError):
            kubeconfig = Path(directory) / "kubeconfig"
            write_kubeconfig(kubeconfig, forgotten.cluster, account.region, read_plane(cluster))
            await free_balancers(kubeconfig, waiting, all_services=True)

    await Teardown(
        account,
        waiting,
        run=forgotten.run,
        cluster=forgotten.cluster,
        node_group="",
        stack=forgotten.stack,
        step=EksStep.UP,
        announced_at=waiting.now(),
    ).everything(free)
