"""The package's error tree.

AnalysisError
├── ManifestsError   a file of image manifests that cannot be read
├── TagsError        a file that should name images and does not
├── ChoiceError      a word that is none of those offered
└── OutputError      the result cannot be written
"""

from pathlib import Path


class AnalysisError(Exception):
    """``str()`` is one line that says what happened, to which object, and what to do."""

    exit_code = 1


class ManifestsError(AnalysisError):
    """Not a file of image manifests."""

    exit_code = 2  # wrong use

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"{path}: {why}; give a JSON file with the keys manifests and configs, each from tag to document"
        )
        self.path = path


class TagsError(AnalysisError):
    """Not a file that names images."""

    exit_code = 2  # wrong use

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}; give a CSV file whose header or a column names images, one a cell")
        self.path = path


class ChoiceError(AnalysisError):
    """Asked for something that is not offered."""

    exit_code = 2  # wrong use

    def __init__(self, what: str, given: str, offered: tuple[str, ...]) -> None:
        super().__init__(f"{what} {given!r} is not known: choose {', '.join(offered)}")
        self.given = given
        self.offered = offered


class OutputError(AnalysisError):
    """A file cannot be written; what was there before is unharmed."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"cannot write {path}: {why}; what was there before is unchanged")
        self.path = path
