"""kubectl on the tests' own cluster."""

import asyncio
from pathlib import Path

from tests.stack.error import StackError
from tests.stack.home import StackHome


class Kubectl:
    """The stack's kubectl, as the user of a kubeconfig."""

    def __init__(self, home: StackHome, kubeconfig: Path) -> None:
        self._command = [str(home.program("kubectl")), f"--kubeconfig={kubeconfig}"]

    async def run(self, *arguments: str | Path) -> str:
        """What it prints. Raises StackError with its complaint if it fails."""
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(*self._command, *map(str, arguments), stdout=pipe, stderr=pipe)
        output, complaint = await child.communicate()
        if child.returncode != 0:
            words = " ".join(map(str, arguments))
            raise StackError(f"kubectl {words} failed: {complaint.decode(errors='replace').strip()}")
        return output.decode()
