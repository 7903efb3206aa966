"""Fake nodes on a real control plane: kwok keeps their heartbeats and brings their pods through life."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.stack.access import Access
from tests.stack.home import StackHome
from tests.stack.port import LOOPBACK, free_port
from tests.stack.process import Process
from tests.stack.server import Server, answers

ANNOTATION = ("kwok.x-k8s.io/node", "fake")
CAPACITY = {"cpu": "16", "memory": "32Gi", "pods": "110"}
READY_SECONDS = 60


class Kwok(Server):
    """kwok for the nodes that ``create_nodes`` makes; ``stages`` are files with Stage objects in place of its own."""

    def __init__(self, home: StackHome, directory: Path, access: Access, *, stages: Sequence[Path] = ()) -> None:
        self._access = access
        self._address = f"{LOOPBACK}:{free_port()}"
        command = [
            str(home.program("kwok")),
            f"--kubeconfig={access.kubeconfig()}",
            "--manage-all-nodes=false",
            f"--manage-nodes-with-annotation-selector={'='.join(ANNOTATION)}",
            f"--server-address={self._address}",
            "--node-lease-duration-seconds=40",
            *(f"--config={path}" for path in stages),
        ]
        super().__init__(Process("kwok", command, directory))

    async def is_ready(self) -> bool:
        """Whether /healthz says ok."""
        return await answers(f"http://{self._address}/healthz")

    async def create_nodes(
        self, count: int, *, prefix: str = "kwok-", labels: Mapping[str, str] | None = None
    ) -> list[str]:
        """Make nodes and return their names when all are Ready and pods can be put on them."""
        names = [f"{prefix}{index}" for index in range(count)]
        for name in names:
            metadata = {"name": name, "annotations": dict([ANNOTATION]), "labels": {"type": "kwok", **(labels or {})}}
            status = {"allocatable": CAPACITY, "capacity": CAPACITY}
            await self._access.request("POST", "/api/v1/nodes", {"metadata": metadata, "status": status})
        await self._access.nodes_ready(names, READY_SECONDS)
        return names
