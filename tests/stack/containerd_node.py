"""A node with containerd alone, as its project builds it, in a machine and a network of its own: it pulls when asked.

Who asks it is a client of CRI, over its socket: what a kubelet does, without one.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.stack.containerd import SOCKET, Containerd
from tests.stack.error import NotPossibleHereError, StackError
from tests.stack.home import StackHome
from tests.stack.machine import Machine, why_not
from tests.stack.network import Switch, in_network_of, why_no_network
from tests.stack.server import Lifecycle
from tests.stack.wait import until

BOOT_SECONDS = 10
OTLP_PORT = 4318
"""On the node's own loopback."""

_VERSION_3 = """
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri"]
[grpc]
  address = "{socket}"
[debug]
  level = "{level}"
[plugins."io.containerd.cri.v1.images".registry]
  config_path = "{certificates}"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
# In CRI's own part these settings would switch the transfer service off, without a word.
[plugins."io.containerd.transfer.v1.local"]
  max_concurrent_downloads = {downloads}
  max_concurrent_unpacks = {unpacks}
  config_path = "{certificates}"
"""
_VERSION_2 = """
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "{socket}"
[debug]
  level = "{level}"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  max_concurrent_downloads = {downloads}
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{certificates}"
"""


class Release(StrEnum):
    """Which containerd; the value is the part of the stack that builds it."""

    V2 = "containerd"
    V1 = "containerd-1"

    @property
    def program(self) -> str:
        """In the stack's ``bin``."""
        return f"{self.value}-from-module"


@dataclass(frozen=True, slots=True)
class Settings:
    """Of containerd on a node."""

    release: Release = Release.V2
    downloads: int = 3  # layers at a time
    unpacks: int = 1  # the same; of Release.V1 always 1
    debug: bool = True  # its log, whose lines are events of its spans
    traced: bool = True  # it sends spans to OTLP_PORT of its own loopback
    decompressor: Path | None = None  # a program called unpigz, in the place of Go's own


class ContainerdNode(Lifecycle):
    """``registries`` are hosts with ports that it asks without TLS. Raises NotPossibleHereError."""

    def __init__(
        self,
        home: StackHome,
        directory: Path,
        switch: Switch,
        address: str,
        registries: Sequence[str],
        settings: Settings = Settings(),
        *,
        name: str = "node-1",
    ) -> None:
        reason = why_not() or why_no_network()
        if reason is not None:
            raise NotPossibleHereError(reason)
        self.name = name
        self.address = address
        self._switch = switch
        directory.mkdir(parents=True, exist_ok=True)
        self.machine = Machine(directory, name, own_network=True)
        self.containerd = Containerd(
            self.machine,
            self._configuration(registries, settings),
            program=home.program(settings.release.program),
            environment=self._environment(settings),
        )

    def _configuration(self, registries: Sequence[str], settings: Settings) -> str:
        for host in registries:
            self.ask(host, host)
        template = _VERSION_3 if settings.release is Release.V2 else _VERSION_2
        return template.format(
            socket=SOCKET,
            level="debug" if settings.debug else "info",
            certificates=self.machine.directory / "certs",
            downloads=settings.downloads,
            unpacks=settings.unpacks,
        )

    def _environment(self, settings: Settings) -> dict[str, str]:
        found = {"CONTAINERD_DISABLE_IGZIP": "1", "CONTAINERD_DISABLE_PIGZ": "1"}
        if settings.decompressor is not None:
            del found["CONTAINERD_DISABLE_PIGZ"]
            found["PATH"] = f"{settings.decompressor.parent}:{os.environ['PATH']}"
        return found | (self._tracing() if settings.traced else {})

    def _tracing(self) -> dict[str, str]:
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{OTLP_PORT}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_RESOURCE_ATTRIBUTES": f"k8s.node.name={self.name}",
            "OTEL_SPAN_EVENT_COUNT_LIMIT": "20000",
            "OTEL_BSP_SCHEDULE_DELAY": "500",
            "OTEL_BSP_MAX_QUEUE_SIZE": "20000",
        }

    def ask(self, registry: str, host: str) -> None:
        """From the next pull on, ask this host for what lies in that registry, without TLS."""
        path = self.machine.directory / "certs" / registry / "hosts.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'server = "http://{registry}"\n[host."http://{host}"]\n')

    async def start(self) -> None:
        """Return when containerd answers. Raises StackError with the end of the log of what did not come up."""
        self.machine.boot()

        async def booted() -> bool:
            return self.machine.booted

        await until(booted, BOOT_SECONDS, f"the machine of {self.name} ({self.machine.process.log})")
        self.link = self._switch.join(self.machine.pid, self.address)
        await self.containerd.start()

    async def stop(self) -> None:
        await self.containerd.stop()
        self.machine.cut_power()

    def kill(self) -> None:
        self.machine.cut_power()
        self.containerd.kill()

    @property
    def socket(self) -> Path:
        """containerd's, as this machine sees it."""
        return Path(f"/proc/{self.machine.first}/root{SOCKET}")

    def in_network(self, command: list[str]) -> list[str]:
        """The command that runs this command in the node's network, with this machine's files."""
        return in_network_of(self.machine.pid, command)

    @property
    def containerd_pid(self) -> int:
        """Of containerd, as this machine sees it. Raises StackError where it does not run."""
        above = self.containerd.process.pid
        children = Path(f"/proc/{above}/task/{above}/children").read_text().split() if above else []
        if not children:
            raise StackError(f"containerd of {self.name} does not run: {self.containerd.process.last_words()}")
        return int(children[0])

    def limit_cpu(self, cores: float | None) -> None:
        """Give containerd so much of the machine's processors, or all of them."""
        self.machine.limit_cpu(self.containerd_pid, cores)
