"""A network inside this machine: a switch, and places on it with a link each, of which each may be made slow.

Every place is a network namespace that a process holds, so that the kernel takes it, its devices and its addresses away
when that process or the test run ends, however it ends. Nothing of it is seen from this machine's own network.
"""

import os
import subprocess
import tempfile
from enum import StrEnum
from functools import cache
from pathlib import Path

from tests.stack.error import StackError
from tests.stack.home import system_program
from tests.stack.process import Process
from tests.stack.server import Lifecycle
from tests.stack.wait import until

PREFIX_LENGTH = 24
DEVICE = "eth0"  # of a place
BRIDGE = "switch"
BURST = "256kb"
"""What tbf lets through at once: more than 1 Gbit/s brings in a tick of the kernel's clock, at 250 ticks a second."""
QUEUE = "20ms"
MADE_SECONDS = 10
HOLD = ["sleep", "infinity"]


class Direction(StrEnum):
    """Of a link, as the place sees it."""

    SENT = "sent"
    RECEIVED = "received"


def in_network_of(pid: int, command: list[str]) -> list[str]:
    """The command that runs this command in the network of that process.

    Not by ``ip netns exec``: that mounts another /sys, without the cgroups.
    """
    return ["nsenter", "--target", str(pid), "--net", "--", *command]


class Namespace(Lifecycle):
    """A network with nothing in it but its own loopback, held by a process."""

    def __init__(self, name: str, directory: Path) -> None:
        self._directory = directory
        self.process = Process(name, ["unshare", "--net", "--", *HOLD], directory)

    async def start(self) -> None:
        self.process.start()

        async def is_made() -> bool:
            if not self.process.running:
                raise StackError(f"no network namespace can be made: {self.process.last_words()}")
            return os.readlink(f"/proc/{self.pid}/ns/net") != os.readlink("/proc/self/ns/net")

        await until(is_made, MADE_SECONDS, f"the network of {self.process.name}")
        ip(self.pid, "link", "set", "lo", "up")

    @property
    def pid(self) -> int:
        """Of the process that holds it. Raises StackError where that does not run."""
        if self.process.pid is None:
            raise StackError(f"the network of {self.process.name} is not there")
        return self.process.pid

    def inside(self, command: list[str]) -> list[str]:
        """The command that runs this command in it."""
        return in_network_of(self.pid, command)

    def kill(self) -> None:
        self.process.kill()

    async def stop(self) -> None:
        self.process.kill()


class Link:
    """Between a place and the switch. It is as fast as the machine until it is shaped."""

    def __init__(self, switch: int, port: str, place: int, address: str) -> None:
        self._ends = {Direction.SENT: (place, DEVICE), Direction.RECEIVED: (switch, port)}
        self.address = address

    def shape(self, direction: Direction, megabits_per_second: float) -> None:
        """Let through no more than this, by a token bucket (tbf)."""
        pid, device = self._ends[direction]
        rate = f"{round(megabits_per_second * 1e6)}bit"
        tc(pid, "qdisc", "replace", "dev", device, "root", "tbf", "rate", rate, "burst", BURST, "latency", QUEUE)


class Switch(Namespace):
    """What the places are joined to."""

    def __init__(self, directory: Path) -> None:
        super().__init__("switch", directory)
        self._ports = 0

    async def start(self) -> None:
        await super().start()
        ip(self.pid, "link", "add", BRIDGE, "type", "bridge")
        ip(self.pid, "link", "set", BRIDGE, "up")

    def join(self, place: int, address: str) -> Link:
        """Give the network of that process a link with this address. Raises StackError."""
        self._ports += 1
        port = f"port{self._ports}"
        ip(self.pid, "link", "add", port, "type", "veth", "peer", "name", DEVICE, "netns", str(place))
        ip(self.pid, "link", "set", port, "master", BRIDGE, "up")
        ip(place, "address", "add", f"{address}/{PREFIX_LENGTH}", "dev", DEVICE)
        ip(place, "link", "set", "lo", "up")
        ip(place, "link", "set", DEVICE, "up")
        return Link(self.pid, port, place, address)


class Place(Namespace):
    """A network of its own with a link to the switch, for any program."""

    def __init__(self, name: str, directory: Path, switch: Switch, address: str) -> None:
        super().__init__(name, directory)
        self._switch = switch
        self.address = address

    async def start(self) -> None:
        await super().start()
        self.link = self._switch.join(self.pid, self.address)


def ip(network: int, *arguments: str) -> None:
    """Run ip in the network of that process. Raises StackError with its complaint."""
    _run(network, "ip", *arguments)


def tc(network: int, *arguments: str) -> None:
    """Run tc in the network of that process. Raises StackError with its complaint."""
    _run(network, "tc", *arguments)


def _run(network: int, program: str, *arguments: str) -> None:
    command = in_network_of(network, [system_program(program, "iproute2"), *arguments])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StackError(f"{program} {' '.join(arguments)}: {done.stderr.strip()}")


@cache
def why_no_network() -> str | None:
    """Why no such network can be made here, as a sentence; None if it can."""
    tbf = f"tc qdisc add dev {DEVICE} root tbf rate 1mbit burst {BURST} latency {QUEUE}"
    trial = f"ip link add {DEVICE} type veth peer name port1 && ip link add {BRIDGE} type bridge && {tbf}"
    with tempfile.TemporaryDirectory() as scratch:
        command = ["unshare", "--net", "--", "sh", "-euc", trial]
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return f"this machine allows no network with veth, bridge and tbf: {done.stderr.strip()}"
    return None
