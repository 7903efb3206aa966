"""Libraries that only an extra of the package installs: imported where needed, or one line says what to install.

The extras stand in ``[project.optional-dependencies]`` of pyproject.toml; the core works without any of them.
"""

from importlib import import_module
from types import ModuleType


class MissingExtraError(Exception):
    """A library of an extra is not installed. ``str()`` is one line with the command that installs it."""

    exit_code = 2

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(f"{module} is not installed, and this needs it: pip install 'pullstudy[{extra}]'")
        self.module = module
        self.extra = extra


def require(module: str, extra: str) -> ModuleType:
    """The module, imported. Raises MissingExtraError where it, or a package around it, is not installed.

    Called before a plain ``import`` of the same module where its types are wanted. What fails inside an installed
    library is raised as it is: installing that library again would not help.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise MissingExtraError(module.partition(".")[0], extra) from error
