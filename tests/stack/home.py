"""Where the built servers lie: a cache outside the clone, shared by all clones of this user."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.stack.error import NotBuiltError, StackError

VARIABLE = "PULLSTUDY_STACK_HOME"


@dataclass(frozen=True, slots=True)
class StackHome:
    """The cache: ``bin/`` and ``kafka/lib/`` with the programs, ``stamps/`` with what each part was built from."""

    root: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "StackHome":
        """The directory that $PULLSTUDY_STACK_HOME names, or ~/.cache/pullstudy-stack."""
        return cls(Path(environment.get(VARIABLE) or Path.home() / ".cache" / "pullstudy-stack"))

    def program(self, name: str) -> Path:
        """A program that was built here.

        Raises NotBuiltError if it is not there yet.
        """
        path = self.root / "bin" / name
        if not path.exists():
            raise NotBuiltError(f"{name} is not in {path.parent}; run: python -m tests.stack.build")
        return path

    def kafka_classpath(self) -> str:
        """The class path of the broker and its tools.

        Raises NotBuiltError if Kafka is not there yet.
        """
        lib = self.root / "kafka" / "lib"
        if not lib.is_dir():
            raise NotBuiltError(f"Kafka is not in {lib}; run: python -m tests.stack.build kafka")
        return f"{lib}/*"


def system_program(name: str, package: str) -> str:
    """The path of a program that the system's package manager brings.

    Raises StackError, which names the package, if it is not installed.
    """
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        raise StackError(f"{name} is not installed; as root: apt-get install {package}")
    return path
