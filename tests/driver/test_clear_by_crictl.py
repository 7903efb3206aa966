"""The script that clears a node, where crictl alone is there: a program of that name that plays a runtime."""

import asyncio
import os
from pathlib import Path

import pytest

from driver.providers.kubeconfig.cleaner import script

IMAGES = ("quay.io/study/app:1", "quay.io/study/app:2")
PROGRAMS = {
    "chroot": 'shift; exec "$@"',
    "tee": "cat",  # the node's message is its standard output
    "sleep": ":",
    "ctr": "exit 1",
    "crictl": """\
shift 2
echo "$*" >>"$RUNTIME/asked"
case "$*" in
"ps -q --label io.kubernetes.pod.uid=me") echo own; exit ;;
esac
[ ! -e "$RUNTIME/down" ] || exit 1
case "$*" in
"inspecti -q "*) grep -qx "$3" "$RUNTIME/images" ;;
"ps -a "*"--label io.kubernetes.pod.namespace=pulls --label io.kubernetes.container.name=pull") echo studys ;;
"ps -a "*) echo studys others ;;
"rmi "*) [ -e "$RUNTIME/used" ] || sed -i "\\|^$2\\$|d" "$RUNTIME/images" ;;
esac
""",
}


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """A directory with what the runtime has, and what it was asked."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in PROGRAMS.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    (tmp_path / "images").write_text("".join(f"{image}\n" for image in (*IMAGES, "quay.io/others/web:1")))
    return tmp_path


async def clear(runtime: Path, *, wait_seconds: int = 30) -> tuple[int, str]:
    """Exit code and last words."""
    settings = {"SOCKET": "/run/crio.sock", "NAMESPACE": "pulls", "CONTAINER": "pull", "POD_UID": "me"}
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", script(), "clear", *IMAGES),
        env={
            "PATH": f"{runtime / 'bin'}:{os.environ['PATH']}",
            "RUNTIME": str(runtime),
            "WAIT": str(wait_seconds),
            **settings,
        },
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode().strip()


async def test_the_studys_images_go_and_nobody_elses_images_or_containers(runtime: Path) -> None:
    assert await clear(runtime) == (0, "gone by crictl")
    assert (runtime / "images").read_text() == "quay.io/others/web:1\n"
    removed = [line for line in (runtime / "asked").read_text().splitlines() if line.startswith("rm ")]
    assert removed == ["rm studys", "rm studys"]


@pytest.mark.parametrize(
    ("file", "said"),
    [("used", f"left: {IMAGES[1]}"), ("down", "the runtime at /run/crio.sock does not answer")],
)
async def test_an_image_that_stays_or_a_runtime_that_does_not_answer_is_never_called_gone(
    runtime: Path, file: str, said: str
) -> None:
    (runtime / file).touch()
    assert await clear(runtime, wait_seconds=0) == (1, said)
