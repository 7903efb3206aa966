"""A machine inside this one, for a node: its own processes, /run, /var/lib, /var/log and kernel settings.

It is a PID and a mount namespace, no more: the network and the cgroup hierarchy are this machine's. When it is killed,
or the test process dies, the kernel ends everything in it, containers and mounts included, which no list of process
ids could promise: containerd's shims leave its process group on purpose.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.stack.error import StackError
from tests.stack.process import Process

NAMESPACES = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
SYSCTLS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
"""What a kubelet sets at its start: files of the node's stand over them, so that this machine keeps its own."""

BOOT = """
set -eu
mount -t tmpfs -o mode=755 tmpfs /run
mount --bind "$1/lib" /var/lib
mount --bind "$1/log" /var/log
for name in $2; do
  file="$1/sysctl/$(basename "$name")"
  cat "/proc/sys/$name" > "$file"
  mount --bind "$file" "/proc/sys/$name"
done
touch "$1/booted"
# The first process of a PID namespace inherits its orphans; with SIGCHLD ignored the kernel buries them.
trap '' CHLD
exec sleep infinity
"""

CGROUPS = Path("/sys/fs/cgroup")
CGROUP_PREFIX = "pullstudy-"
TASKS = "lib/containerd/io.containerd.runtime.v2.task/k8s.io"
"""Where, on the node's disk, containerd has a directory a container that it started."""


class Machine:
    """The namespaces of one node, with its disk in ``directory``."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.cgroup = f"{CGROUP_PREFIX}{os.getpid()}-{name}"
        """What the kubelet takes for the root of all cgroups: it writes limits there, and not to this machine's own."""
        command = [*NAMESPACES, "--", "sh", "-c", BOOT, "boot", str(directory), " ".join(SYSCTLS)]
        self.process = Process("machine", command, directory)

    @property
    def booted(self) -> bool:
        """Whether its mounts are made."""
        return self.process.running and (self.directory / "booted").exists()

    def boot(self) -> None:
        """Start it; ``booted`` says when its mounts are made."""
        (self.directory / "booted").unlink(missing_ok=True)
        for name in ("lib", "log", "sysctl"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        remove_cgroups_of_ended_runs()
        for hierarchy in _hierarchies():
            (hierarchy / self.cgroup).mkdir(exist_ok=True)
        self.process.start()

    def inside(self, command: list[str]) -> list[str]:
        """The command that runs this command in it.

        Raises StackError if it is not booted.
        """
        pid = self.process.pid
        first = Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if self.booted else []
        if not first:
            raise StackError(f"the node's machine does not run: {self.process.last_words()}")
        return ["nsenter", "--target", first[0], "--mount", "--pid", "--", *command]

    def cut_power(self) -> None:
        """End everything in it at once; its disk stays."""
        containers = [f"k8s.io/{entry.name}" for entry in (self.directory / TASKS).glob("*")]
        self.process.kill()
        _remove_cgroups([*containers, "k8s.io", self.cgroup])


def _remove_cgroups(names: list[str]) -> None:
    """Remove these where they are empty: one that another node's containers are in refuses, and stays."""
    for name in names:
        for hierarchy in _hierarchies():
            for directory, _, _ in os.walk(hierarchy / name, topdown=False):
                with contextlib.suppress(OSError):
                    Path(directory).rmdir()


def remove_cgroups_of_ended_runs() -> None:
    """Remove the empty cgroups of test runs that were killed: the kernel ends their processes, not their cgroups."""
    found = {path.name for hierarchy in _hierarchies() for path in hierarchy.glob(f"{CGROUP_PREFIX}*")}
    _remove_cgroups([name for name in found if not Path("/proc", name.split("-")[1]).exists()])


def _hierarchies() -> list[Path]:
    """The roots of the cgroups: one in version 2, one a group of controllers in version 1."""
    one = CGROUPS / "cgroup.procs"
    return [CGROUPS] if one.exists() else [path.parent for path in CGROUPS.glob("*/cgroup.procs")]


def why_not() -> str | None:
    """Why no machine can be made here, as a sentence; None if it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a real kubelet needs Linux and root"
    with tempfile.TemporaryDirectory() as scratch:
        trial = (
            f"cd {scratch} && mkdir lower upper work all && mount -t tmpfs tmpfs /run && "
            "mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work all"
        )
        done = subprocess.run([*NAMESPACES, "--", "sh", "-c", trial], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return f"this machine allows no namespaces with mounts of their own: {done.stderr.strip()}"
    return None
