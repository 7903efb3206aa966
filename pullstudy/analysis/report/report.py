"""``pulldriver report``: one page that works offline, and a PNG of each of its figures."""

import ctypes
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pullstudy.analysis.errors import OutputError
from pullstudy.analysis.output_file import output_file
from pullstudy.analysis.reading.environments import environment_of
from pullstudy.analysis.reading.source import StudySource, as_source
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Advise, Facts, gather_facts, no_advice
from pullstudy.analysis.report.figure import Drawing, png
from pullstudy.analysis.report.page import page
from pullstudy.analysis.report.section import Section
from pullstudy.analysis.report.sections import (
    advice,
    after_pull,
    all_pulls,
    by_nodes,
    clocks,
    costs,
    durations,
    environment,
    failures,
    foretold,
    inside_pulls,
    loss_audit,
    makespans,
    rates,
    similarity,
    slow_nodes,
    summary,
)
from pullstudy.extras import require
from pullstudy.store.embedded.schema import FILE_NAME

REPORT_FILE = "report.html"
FIGURES_DIRECTORY = "figures"

# In the order of the page.
SECTIONS: tuple[Callable[[Facts], Section], ...] = (
    summary.build,
    by_nodes.build,
    makespans.build,
    after_pull.build,
    durations.build,
    all_pulls.build,
    rates.build,
    inside_pulls.build,
    slow_nodes.build,
    failures.build,
    loss_audit.build,
    clocks.build,
    costs.build,
    foretold.build,
    advice.build,
    similarity.build,
    environment.build,
)

# Where pulls are of no job, these have nothing to say.
OF_JOBS = (by_nodes.build, makespans.build, after_pull.build, slow_nodes.build, clocks.build, costs.build)


def sections_of(facts: Facts) -> list[Section]:
    """The page's: of jobs where there are any, or where there is nothing at all; of stages where there are records, and
    of what was foretold and advised where something was."""
    absent = set(() if facts.jobs or not facts.pulls.all.pulled else OF_JOBS)
    absent |= set(() if facts.stages.pulls else (inside_pulls.build,))
    absent |= set(() if facts.model_errors else (foretold.build,))
    absent |= set(() if facts.advice else (advice.build,))
    return [build(facts) for build in SECTIONS if build not in absent]


def write_report(where: Path | StudySource, to: Path | None = None, advise: Advise = no_advice) -> list[Path]:
    """Write report.html and figures/*.png of a directory or another source; return what was written, the page first.

    They go into the directory ``to``, made if absent; without it into the study's own.
    Raises NotAStudyError, StoreError, OutputError, MissingExtraError.
    """
    require("vl_convert", "report")  # what draws comes last: known to be missing before a large study is read
    source = as_source(where)
    directory = _directory(source, to)
    told = _told(gather_facts(source, advise))
    _return_freed_memory()
    report = directory / REPORT_FILE
    with output_file(report) as file:
        file.write(page(told.title, told.provenance_line, told.simulated, told.sections, told.notes).encode())
    figures = [figure for section in told.sections for figure in section.figures]
    return [report, *_write_figures(directory / FIGURES_DIRECTORY, figures, told.provenance_line)]


def _return_freed_memory() -> None:
    # glibc keeps what was freed for later; what draws next has its own memory, and would come on top of it.
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:  # another C library
            trim(0)


@dataclass(frozen=True)
class _Told:
    """All that page and figures show. The facts are gone by then, and leave their memory to what draws."""

    title: str
    provenance_line: str
    simulated: bool
    sections: Sequence[Section]
    notes: tuple[str, ...]


def _told(facts: Facts) -> _Told:
    title = f"Image pulls: {facts.study.name}"
    return _Told(title, provenance(facts), facts.study.simulated, sections_of(facts), facts.study.notes)


def _directory(source: StudySource, to: Path | None) -> Path:
    """Where the report goes: never into a study that it is not of."""
    directory = to or source.directory or Path(source.name)
    if directory != source.directory and (directory / FILE_NAME).is_file():
        raise OutputError(directory / REPORT_FILE, f"{directory} holds another study than {source.name}")
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(directory, error.strerror or str(error)) from error
    return directory


def provenance(facts: Facts) -> str:
    """Where the figures come from: written on every picture."""
    parts = ["SIMULATED"] if facts.study.simulated else []
    if facts.providers:
        parts.append(f"provider {wording.listed(facts.providers)}")
    dates = facts.dates
    if dates:
        first, last = (wording.moment_of(date) for date in dates)
        parts.append(f"{first} to {last}")
    parts.append(f"clusters {wording.listed(facts.study.clusters, at_most=3)}")
    return " · ".join([*parts, *_machines(facts)])


def _machines(facts: Facts) -> list[str]:
    """Instance type, kubelet and runtime, where they were saved."""
    environments = [environment_of(row) for row in facts.study.ledger.clusters]
    found = []
    for name in ("instance_types", "kubelets", "runtimes"):
        values = dict.fromkeys(environment[name] for environment in environments if environment.get(name))
        if values:
            found.append(wording.listed(list(values), at_most=2))
    return found


def _write_figures(directory: Path, figures: Sequence[Drawing], provenance_line: str) -> Iterable[Path]:
    try:
        directory.mkdir(exist_ok=True)
        _remove_others(directory, {f"{figure.name}.png" for figure in figures})
    except OSError as error:
        raise OutputError(directory, error.strerror or str(error)) from error
    for figure in figures:
        path = directory / f"{figure.name}.png"
        with output_file(path) as file:
            file.write(png(figure, provenance_line))
        yield path


def _remove_others(directory: Path, wanted: set[str]) -> None:
    """Pictures of an earlier report that this one does not have would seem to belong to it."""
    for path in directory.glob("*.png"):
        if path.name not in wanted:
            path.unlink()
