"""A machine inside this one, for a node: its own processes, /run, /var/lib, /var/log and kernel settings.

It is a PID and a mount namespace, and where asked a network one: else the network, and always the cgroup hierarchy, are
this machine's. When it is killed, or the test process dies, the kernel ends everything in it, containers and mounts
included, which no list of process ids could promise: containerd's shims leave its process group on purpose.
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
CPU_PERIOD_US = 20_000
"""Short, so that a limited process goes on in small steps."""
TASKS = "lib/containerd/io.containerd.runtime.v2.task/k8s.io"
"""Where, on the node's disk, containerd has a directory a container that it started."""


class Machine:
    """The namespaces of one node, with its disk in ``directory``."""

    def __init__(self, directory: Path, name: str, *, own_network: bool = False) -> None:
        self.directory = directory
        self._network = ["--net"] if own_network else []
        self.cgroup = f"{CGROUP_PREFIX}{os.getpid()}-{name}"
        """What the kubelet takes for the root of all cgroups: it writes limits there, and not to this machine's own."""
        command = [*NAMESPACES, *self._network, "--", "sh", "-c", BOOT, "boot", str(directory), " ".join(SYSCTLS)]
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
        return ["nsenter", "--target", str(self.first), "--mount", "--pid", *self._network, "--", *command]

    @property
    def pid(self) -> int:
        """Of the process that holds it, which is in its network and mounts. Raises StackError if it is not booted."""
        if not self.booted or self.process.pid is None:
            raise StackError(f"the node's machine does not run: {self.process.last_words()}")
        return self.process.pid

    @property
    def first(self) -> int:
        """The first process in it. Raises StackError if it is not booted."""
        first = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        if not first:
            raise StackError(f"the node's machine does not run: {self.process.last_words()}")
        return int(first[0])

    def limit_cpu(self, process: int, cores: float | None) -> None:
        """Give this process and what it starts so much of the machine's processors; None: all of them."""
        own = cpu_hierarchy() / self.cgroup
        quota = None if cores is None else round(cores * CPU_PERIOD_US)
        if (own / "cpu.max").exists():
            (own / "cpu.max").write_text(f"{'max' if quota is None else quota} {CPU_PERIOD_US}")
        else:
            (own / "cpu.cfs_period_us").write_text(str(CPU_PERIOD_US))
            (own / "cpu.cfs_quota_us").write_text(str(-1 if quota is None else quota))
        (own / "cgroup.procs").write_text(str(process))

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


def cpu_hierarchy() -> Path:
    """Where processors are shared out."""
    return CGROUPS if (CGROUPS / "cgroup.procs").exists() else CGROUPS / "cpu"


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
