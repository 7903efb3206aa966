"""helm on the tests' own cluster, and the project's chart."""

import asyncio
from pathlib import Path

from tests.stack.error import StackError
from tests.stack.home import StackHome

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "pullstudy"
LAYERS = CHART / "layers"


class Helm:
    """The stack's helm, as the user of a kubeconfig, with its own files in a directory of the test's."""

    def __init__(self, home: StackHome, directory: Path, kubeconfig: Path | None = None) -> None:
        self._program = str(home.program("helm"))
        self._environment = {
            "HOME": str(directory),
            "KUBECONFIG": str(kubeconfig or directory / "none"),
            "PATH": "/usr/bin:/bin",
        }

    async def run(self, *arguments: str | Path) -> str:
        """What it prints. Raises StackError with its complaint if it fails."""
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            self._program, *map(str, arguments), stdout=pipe, stderr=pipe, env=self._environment
        )
        output, complaint = await child.communicate()
        if child.returncode != 0:
            words = " ".join(map(str, arguments))
            raise StackError(f"helm {words} failed: {complaint.decode(errors='replace').strip()}")
        return output.decode()

    async def template(self, namespace: str, *more: str | Path) -> str:
        """The chart's objects, of no release."""
        return await self.run("template", "pullstudy", CHART, "--namespace", namespace, *more)
