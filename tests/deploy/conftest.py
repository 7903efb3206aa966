"""The manifests of deploy/, on the shared control plane."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest_asyncio

from tests.deploy.kubectl import Kubectl
from tests.stack.control_plane import ControlPlane
from tests.stack.home import StackHome

KUSTOMIZE = Path(__file__).parents[2] / "deploy" / "kustomize"
PARTS = ("base", "driver", "namespaced")  # the last one in a namespace that the one before makes


@dataclass(frozen=True)
class Applied:
    """The cluster with all of deploy/kustomize, and what kubectl said."""

    cluster: ControlPlane
    kubectl: Kubectl
    rehearsed: dict[str, list[str]]  # of the server-side dry run, a line an object, by part
    applied: dict[str, list[str]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def applied(stack_home: StackHome, control_plane: ControlPlane) -> AsyncIterator[Applied]:
    """Everything, rehearsed and then applied; taken away at the end."""
    kubectl = Kubectl(stack_home, control_plane.access.kubeconfig())
    rehearsed, made = {}, {}
    for part in PARTS:
        directory = KUSTOMIZE / part
        if (directory / "namespace.yaml").exists():  # a dry run makes none for what is in it
            await kubectl.run("apply", "--server-side", "-f", directory / "namespace.yaml")
        rehearsed[part] = await _apply(kubectl, directory, "--dry-run=server")
        made[part] = await _apply(kubectl, directory)
    yield Applied(control_plane, kubectl, rehearsed, made)
    for part in reversed(PARTS):
        await kubectl.run("delete", "--wait=false", "-k", KUSTOMIZE / part)


async def _apply(kubectl: Kubectl, directory: Path, *more: str) -> list[str]:
    output = await kubectl.run("apply", "--server-side", "--force-conflicts", "-k", directory, *more)
    return output.splitlines()
