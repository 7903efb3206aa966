"""What is about to be made, under which names and tags: in the ledger before AWS is asked for it."""

import getpass
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from driver.clusters.provider import ClusterOrder, SaveHandle
from driver.planning.eks_plan import Mode
from driver.providers.eks.account import endpoint
from driver.providers.eks.handle import LONGEST_NAME, EksHandle, EksStep, encode_handle
from driver.providers.eks.tags import Mark, tag_value

PREFIX = "pullstudy-"  # of all names on AWS: deploy/eks-policy.json knows clusters and stacks by it


class Announcer:
    """Has each step of one cluster in the ledger before it is taken. ``kubeconfig`` is the user's, if one was given."""

    def __init__(
        self, order: ClusterOrder, save: SaveHandle, *, now: Callable[[], datetime], kubeconfig: Path | None
    ) -> None:
        self._order = order
        self._save = save
        self._now = now
        self._given = kubeconfig

    def begin(self, account: str, run: str) -> EksHandle:
        """All names and tags of a new cluster; ``run`` is drawn for it."""
        study, plan = self._order.study, self._order.study.eks
        name = f"{PREFIX}{self._known_as()}"[: LONGEST_NAME - len(run) - 1] + f"-{run}"
        handle = EksHandle(
            step=EksStep.NETWORK,
            announced_at=self._now(),
            mark=Mark(
                study=tag_value(study.name),
                run=run,
                owner=tag_value(plan.owner or _user()),
                expires_at=self._now() + timedelta(hours=plan.ttl_hours),
            ),
            account=account,
            region=study.cluster.region,
            endpoint=endpoint(),
            stack=name,
            cluster=name,
            node_group="",
            kubeconfig=self._kubeconfig,
            own_kubeconfig=self._given is None and not plan.tunnel,
            directory=self._order.directory.absolute(),  # the way out is told wherever one is by then
            plan=plan,
        )
        return self.announce(handle, EksStep.NETWORK)

    def nodes(self, handle: EksHandle) -> EksHandle:
        """The nodes of this size, on what was made for it or taken over from the size before."""
        wanted = msgspec.structs.replace(handle, node_group=f"nodes-{self._order.size}", kubeconfig=self._kubeconfig)
        return self.announce(wanted, EksStep.NODES)

    def announce(self, handle: EksHandle, step: EksStep) -> EksHandle:
        announced = msgspec.structs.replace(handle, step=step, announced_at=self._now())
        self._save(encode_handle(announced))
        return announced

    @property
    def _kubeconfig(self) -> Path:
        own = self._order.directory / "clusters" / f"{self._order.name}.kubeconfig"
        return (self._given or own).absolute()

    def _known_as(self) -> str:
        known = self._order.name.removeprefix("sim-")  # a simulator may stand for its API, but AWS makes it
        # A control plane that all sizes share bears the name of none.
        shared = self._order.study.eks.mode is Mode.SHARED
        return known.removesuffix(f"-{self._order.size}") if shared else known


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
