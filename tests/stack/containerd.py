"""containerd on a node of the stack: Debian's, or one that was built."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from tests.stack.home import system_program
from tests.stack.machine import Machine
from tests.stack.process import Process
from tests.stack.server import Server

SOCKET = "/run/containerd/containerd.sock"


class Containerd(Server):
    """Its log is the witness of what was pulled."""

    def __init__(
        self,
        machine: Machine,
        configuration: str,
        *,
        program: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Debian's where ``program`` is None."""
        self._machine = machine
        path = machine.directory / "containerd.toml"
        path.write_text(configuration)
        self._command = [str(program or system_program("containerd", "containerd")), "--config", str(path)]
        self._ask = [system_program("ctr", "containerd"), "-a", SOCKET, "--connect-timeout", "1s", "version"]
        super().__init__(Process("containerd", [], machine.directory, environment=environment))

    async def start(self) -> None:
        """Start it and return when it answers."""
        self.process.command = self._machine.inside(self._command)
        await super().start()

    async def is_ready(self) -> bool:
        """Whether it tells its version."""
        null = asyncio.subprocess.DEVNULL
        child = await asyncio.create_subprocess_exec(*self._machine.inside(self._ask), stdout=null, stderr=null)
        return await child.wait() == 0
