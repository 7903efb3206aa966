"""The package's error tree.

AnalysisError
├── ManifestsError   a file of image manifests that cannot be read
├── TagsError        a file that should name images and does not
├── ChoiceError      a choice that is none of those offered
├── NoLayersError    layers asked for of a source that is no directory
├── NoSuchRunError   a run or cluster that no record is of
├── SeveralRunsError a store of several runs, none of which was chosen
├── TerminalError    bytes asked for on a terminal
└── OutputError      the result cannot be written
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from pullstudy.store.protocol import StoredRun

_NAMED_RUNS, _NAMED_CLUSTERS = 5, 7  # in an error's line


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
        super().__init__(f"{path}: {why}; give a list, a CSV or a JSON file that names images")
        self.path = path


class ChoiceError(AnalysisError):
    """Asked for something that is not offered."""

    exit_code = 2  # wrong use

    def __init__(self, what: str, given: str, offered: tuple[str, ...]) -> None:
        super().__init__(f"{what} {given!r} is not known: choose {', '.join(offered)}")
        self.given = given
        self.offered = offered


class NoLayersError(AnalysisError):
    """Layers are in the directory of a study, and none was given."""

    exit_code = 2  # wrong use

    def __init__(self, name: str) -> None:
        super().__init__(
            f"layers of {name}: they are in no InfluxDB; give --out DIR, where pulldriver import kept them"
        )


class NoSuchRunError(AnalysisError):
    """Nothing is stored of what was asked for."""

    exit_code = 2  # wrong use

    def __init__(
        self, place: str, runs: Sequence[str | None], clusters: Sequence[str], there: Iterable[StoredRun]
    ) -> None:
        asked = [f"run {_said(run)}" for run in runs] + [f"cluster {cluster}" for cluster in clusters]
        wanted = f"no pull of {', '.join(asked)}" if asked else "no pull"
        there = list(there)
        offered = _named(there)
        names = sorted({each.cluster for each in there}) if clusters else []
        named = f" of {'cluster' if len(names) == 1 else 'clusters'} {_few(names)}" if names else ""
        super().__init__(f"{place} has {wanted}{f'; it has {offered}{named}' if offered else ''}")


class SeveralRunsError(AnalysisError):
    """Runs are mixed only where that is asked for."""

    exit_code = 2  # wrong use

    def __init__(self, place: str, there: Iterable[StoredRun]) -> None:
        super().__init__(f"{place} has several runs; choose by --run: {_named(there)}")


def _few(names: Sequence[str]) -> str:
    more = len(names) - _NAMED_CLUSTERS
    return ", ".join(names[:_NAMED_CLUSTERS]) + (f" and {more} more" if more > 0 else "")


def _said(run: str | None) -> str:
    return "'' (none)" if run is None else run


def _named(there: Iterable[StoredRun]) -> str:
    """Runs with their pulls, the latest ones first."""
    latest: dict[str | None, tuple[str, int]] = {}
    for each in there:
        at, pulls = latest.get(each.run, ("", 0))
        latest[each.run] = (max(at, each.last_at.isoformat() if each.last_at else ""), pulls + each.pulls)
    ordered = sorted(latest.items(), key=lambda item: item[1], reverse=True)
    named = ", ".join(f"{_said(run)} ({pulls:,} pulls)" for run, (_, pulls) in ordered[:_NAMED_RUNS])
    more = len(ordered) - _NAMED_RUNS
    return f"{named} and {more} more: pulldriver export runs lists them" if more > 0 else named


class TerminalError(AnalysisError):
    """A table of bytes that no terminal can show."""

    exit_code = 2  # wrong use

    def __init__(self, table: str) -> None:
        super().__init__(f"{table} as parquet is not for a terminal: add --to FILE, or > FILE")


class OutputError(AnalysisError):
    """A file cannot be written; what was there before is unharmed."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"cannot write {path}: {why}; what was there before is unchanged")
        self.path = path
