"""A real node: containerd and a kubelet that pull real images, in a machine of their own."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.stack.access import Access
from tests.stack.containerd import SOCKET, Containerd
from tests.stack.error import NotPossibleHereError, StackError
from tests.stack.home import StackHome, system_program
from tests.stack.machine import Machine, why_not
from tests.stack.port import LOOPBACK, free_port
from tests.stack.process import Process
from tests.stack.server import Lifecycle, Server, answers
from tests.stack.wait import until

BOOT_SECONDS = 10
READY_SECONDS = 60
REGISTERED = "Successfully registered node"
"""What a kubelet logs once a start, when it has told the API server of its node."""

CONTAINERD = """
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{sandbox_image}"
  # Lowering a score takes CAP_SYS_RESOURCE, which root lacks on some machines.
  restrict_oom_score_adj = true
  max_concurrent_downloads = {downloads}
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{cni}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""

NETWORK = {
    "cniVersion": "0.4.0",
    "name": "stack",
    "plugins": [{"type": "bridge", "bridge": "pullstudy0", "ipam": {"type": "host-local", "subnet": "10.244.0.0/24"}}],
}
"""A kubelet is Ready only with a network; pods with hostNetwork, the only ones here, never make it."""


class KubeletNode(Lifecycle):
    """One node of a control plane.

    ``sandbox_image`` is an image, in a registry on loopback, whose entry point waits (``Registry.push_new`` with no
    layers). ``kubelet_settings`` are fields of KubeletConfiguration that override the ones here.
    Raises NotPossibleHereError where this machine does not allow it.
    """

    def __init__(
        self,
        home: StackHome,
        directory: Path,
        access: Access,
        sandbox_image: str,
        *,
        name: str = "real-1",
        kubelet_settings: Mapping[str, Any] | None = None,
        max_concurrent_downloads: int = 3,
    ) -> None:
        reason = why_not()
        if reason is not None:
            raise NotPossibleHereError(reason)
        self.name = name
        self._access = access
        directory.mkdir(parents=True, exist_ok=True)
        self.machine = Machine(directory, name)
        cni = directory / "cni"
        configuration = CONTAINERD.format(
            socket=SOCKET, sandbox_image=sandbox_image, downloads=max_concurrent_downloads, cni=cni
        )
        cni.mkdir(exist_ok=True)
        (cni / "10-stack.conflist").write_text(json.dumps(NETWORK))
        self.containerd = Containerd(self.machine, configuration)
        self.kubelet = Kubelet(home, self.machine, access, name, dict(kubelet_settings or {}))

    async def start(self) -> None:
        """Boot it and return when the node is Ready.

        Raises StackError with the end of the log of what did not come up.
        """
        self.machine.boot()
        await until(self._has_booted, BOOT_SECONDS, f"the machine of {self.name} ({self.machine.process.log})")
        await self.containerd.start()
        await self.kubelet.start()
        await self._access.nodes_ready([self.name], READY_SECONDS)

    async def stop(self) -> None:
        """Stop the kubelet and containerd, then all that is left of the node; its disk stays."""
        await self.kubelet.stop()
        await self.containerd.stop()
        self.machine.cut_power()

    def kill(self) -> None:
        """What a power cut does: everything on the node ends at once."""
        self.machine.cut_power()
        self.kubelet.kill()
        self.containerd.kill()

    async def ctr(self, *arguments: str) -> str:
        """What ``ctr`` prints on this node, in the kubelet's namespace.

        Raises StackError with its complaint if it fails.
        """
        command = self.machine.inside([system_program("ctr", "containerd"), "-a", SOCKET, "-n", "k8s.io", *arguments])
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
        output, complaint = await child.communicate()
        if child.returncode != 0:
            raise StackError(f"ctr {' '.join(arguments)} failed: {complaint.decode(errors='replace').strip()}")
        return output.decode()

    async def images(self) -> list[str]:
        """The names of the images on the node."""
        return (await self.ctr("images", "list", "--quiet")).split()

    async def forget_image(self, reference: str) -> None:
        """Take an image off the node under all its names, and so its layers, so that the next pull is cold."""
        lines = [line.split() for line in (await self.ctr("images", "list")).splitlines()[1:]]
        digests = {name: digest for name, _, digest, *_ in lines}
        names = [name for name, digest in digests.items() if digest == digests.get(reference)]
        if names:
            await self.ctr("images", "remove", "--sync", *names)

    async def _has_booted(self) -> bool:
        return self.machine.booted


class Kubelet(Server):
    """The kubelet, known to the API server by a client certificate of its node."""

    def __init__(self, home: StackHome, machine: Machine, access: Access, name: str, settings: dict[str, Any]) -> None:
        self._machine = machine
        self._health = free_port()
        kubeconfig = access.certificate_kubeconfig(f"system:node:{name}", ["system:nodes"])
        path = machine.directory / "kubelet.json"
        path.write_text(json.dumps(self._configuration() | settings, indent=1))
        program = str(home.program("kubelet"))
        self._command = [program, f"--config={path}", f"--kubeconfig={kubeconfig}", f"--hostname-override={name}"]
        super().__init__(Process("kubelet", [], machine.directory))

    async def start(self) -> None:
        """Start it and return when its node is registered."""
        self.process.command = self._machine.inside(self._command)
        await super().start()

    async def is_ready(self) -> bool:
        """Whether it is healthy and has told the API server of its node since its last start."""
        return REGISTERED in self.process.output() and await answers(f"http://{LOOPBACK}:{self._health}/healthz")

    def _configuration(self) -> dict[str, Any]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": LOOPBACK,
            "port": free_port(),
            "healthzBindAddress": LOOPBACK,
            "healthzPort": self._health,
            "readOnlyPort": 0,
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "containerRuntimeEndpoint": f"unix://{SOCKET}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self._machine.cgroup}",
            "cgroupsPerQOS": False,
            "enforceNodeAllocatable": [],
            # Version 1 of cgroups is in maintenance, and refused from 1.35 on, unless allowed.
            "failCgroupV1": False,
            "failSwapOn": False,
            "makeIPTablesUtilChains": False,
            "localStorageCapacityIsolation": False,
            "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%"},
            "imageGCHighThresholdPercent": 100,
            "serializeImagePulls": False,
            "maxParallelImagePulls": 3,
            "registryPullQPS": 50,
            "registryBurst": 100,
        }
