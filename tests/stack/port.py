"""Free loopback ports that stay free: a server that was killed comes back on the port it had."""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import IO

from tests.stack.error import StackError

LOOPBACK = "127.0.0.1"
RANGE = range(20_000, 32_000)
"""Below the kernel's ephemeral ports (from 32768): no outgoing connection takes the port of a server that is down."""

ATTEMPTS = 200

_held: list[IO[str]] = []
"""Lock files of the ports taken by this process; the kernel frees them with it."""


def free_port() -> int:
    """A port nobody listens on, kept for this process until it ends.

    Raises StackError if none is found.
    """
    locks = Path(tempfile.gettempdir()) / f"pullstudy-ports-{os.getuid()}"
    locks.mkdir(exist_ok=True)
    for port in random.sample(RANGE, ATTEMPTS):
        if _lock(locks / str(port)) and _is_unused(port):
            return port
    raise StackError(f"no free port between {RANGE.start} and {RANGE.stop} on {LOOPBACK} in {ATTEMPTS} tries")


def _lock(path: Path) -> bool:
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return False
    _held.append(file)
    return True


def _is_unused(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
