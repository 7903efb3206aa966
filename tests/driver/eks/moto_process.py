"""moto's server as a process, as a user would start it."""

import os
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-2",
    "AWS_EC2_METADATA_DISABLED": "true",
}
START_SECONDS = 50.0


@contextmanager
def moto_process() -> Iterator[str]:
    """Its address. It ends with the block."""
    environment = {**os.environ, **ENVIRONMENT, "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}
    argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(
        argv, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment
    ) as server:
        said: Queue[str] = Queue()
        reader = threading.Thread(target=_read, args=(server, said), daemon=True)
        reader.start()
        try:
            yield said.get(timeout=START_SECONDS)
        finally:
            server.kill()
            server.wait()
            reader.join()


def _read(server: "subprocess.Popen[str]", said: "Queue[str]") -> None:
    """Its first lines name the port; the rest, a line a request, must not fill the pipe."""
    assert server.stderr is not None
    for line in server.stderr:
        found = re.search(r"Running on (http://127\.0\.0\.1:\d+)", line)
        if found:
            said.put(found[1])


def forget_all(url: str) -> None:
    """Empty the account."""
    urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST")).close()
