"""What the ledger keeps of a cluster on EKS, written before each call that makes something."""

import shlex
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from driver.clusters.provider import Handle
from driver.errors import ProviderError
from driver.planning.eks_plan import EksPlan
from driver.providers.eks.tags import Mark

LONGEST_NAME = 100  # of an EKS cluster; a stack's may have 128 letters, a node group's 63


class EksStep(StrEnum):
    """What was last about to be made; all before it may exist, nothing after it does."""

    NETWORK = "network"
    CONTROL_PLANE = "control-plane"
    NODES = "nodes"
    UP = "up"


class EksHandle(msgspec.Struct, frozen=True, kw_only=True):
    """All that is needed to find everything again, also in a process that made none of it."""

    step: EksStep
    announced_at: datetime  # of the step, by the driver's clock
    mark: Mark
    account: str
    region: str
    endpoint: str  # AWS_ENDPOINT_URL; empty for AWS itself
    stack: str
    cluster: str  # its name on EKS
    node_group: str
    kubeconfig: Path  # or several, with the context that was current when it was proven to lead to this cluster
    own_kubeconfig: bool  # written by us, so that it leads to this cluster and no other
    directory: Path
    plan: EksPlan

    @property
    def node_labels(self) -> dict[str, str]:
        """What its nodes bear, and nobody else's."""
        return {"pullstudy/run": self.mark.run}

    @property
    def way_out(self) -> str:
        """The command that takes all of it down."""
        return shlex.join(["pulldriver", "down", "--out", str(self.directory)])


def encode_handle(handle: EksHandle) -> Handle:
    kept: dict[str, Any] = msgspec.to_builtins(handle, enc_hook=str)
    return kept


def decode_handle(kept: Handle) -> EksHandle | None:
    """None where nothing was ever about to be made. Raises ProviderError."""
    if not kept:
        return None
    try:
        return msgspec.convert(kept, EksHandle, dec_hook=lambda kind, value: kind(value))
    except msgspec.ValidationError as error:
        raise ProviderError(f"the ledger's handle of a cluster on EKS cannot be read: {error}") from error
