"""Images of the tests' own: one program that waits or ends, and layers of random bytes of the sizes asked for.

umoci makes them, as layouts of the OCI image specification; random bytes do not compress, so that a layer's size on
the wire is its size on the disk.
"""

import json
import os
import random
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.stack.error import StackError
from tests.stack.home import StackHome, system_program

ENTRY = "/pause"
LAYER_TIME_SECONDS = 1_700_000_000
"""Every file's modification time, so that equal bytes make an equal layer, shared between images."""


@dataclass(frozen=True, slots=True)
class Layout:
    """An image on disk."""

    directory: Path
    digest: str
    """Of its manifest."""
    layers: tuple[str, ...]
    """Digests, the first holds the program."""
    layer_bytes: tuple[int, ...]
    """Compressed, as a registry serves them."""


def make_image(home: StackHome, directory: Path, layers: Sequence[int], *, seed: int = 0) -> Layout:
    """An image of a layer with the program and one of each of these sizes in bytes.

    The same size at the same place with the same seed is the same layer in every image.
    """
    layout, files = directory / "layout", directory / "files"
    files.mkdir(parents=True)
    image = f"{layout}:latest"
    umoci("init", "--layout", str(layout))
    umoci("new", "--image", image)
    program = Path(shutil.copy(home.program("pause"), files / "pause"))
    _insert(image, program, ENTRY)
    for index, size in enumerate(layers):
        data = files / f"data-{index}"
        data.write_bytes(random.Random(f"{seed}/{index}/{size}").randbytes(size))
        _insert(image, data, f"/data-{index}")
    umoci("config", "--image", image, f"--config.entrypoint={ENTRY}")
    shutil.rmtree(files)
    return _read(layout)


def _insert(image: str, source: Path, target: str) -> None:
    os.utime(source, (LAYER_TIME_SECONDS, LAYER_TIME_SECONDS))
    umoci("insert", "--image", image, str(source), target)


def _read(layout: Path) -> Layout:
    index = json.loads((layout / "index.json").read_text())
    digest = index["manifests"][0]["digest"]
    manifest = json.loads((layout / "blobs" / digest.replace(":", "/")).read_text())
    layers = [(layer["digest"], layer["size"]) for layer in manifest["layers"]]
    return Layout(layout, digest, tuple(digest for digest, _ in layers), tuple(size for _, size in layers))


def umoci(*arguments: str) -> None:
    """Run umoci.

    Raises StackError with its complaint if it fails.
    """
    done = subprocess.run([system_program("umoci", "umoci"), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StackError(f"umoci {arguments[0]} failed: {done.stderr.strip()}")
