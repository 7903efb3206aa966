"""``pulldriver export trace``: pulls as traces for other tools, a job at a time."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from gzip import GzipFile
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

from pullstudy.analysis.errors import ChoiceError
from pullstudy.analysis.output_file import output_file
from pullstudy.analysis.reading.joined_records import opened
from pullstudy.analysis.reading.joined_stages import joined_stages
from pullstudy.analysis.reading.pull_insides import PullInsides, pull_insides
from pullstudy.analysis.reading.source import StudySource, as_source
from pullstudy.analysis.reading.study import StudyRecords, opened_study
from pullstudy.analysis.traces.container_trace import traces_of
from pullstudy.analysis.traces.otlp import write_otlp
from pullstudy.analysis.traces.perfetto import write_perfetto
from pullstudy.analysis.traces.span import Trace
from pullstudy.pulls.image import image_fits
from pullstudy.pulls.kinds import LAYER, PULL_STAGES

FORMATS: dict[str, Callable[[Iterable[Trace], BinaryIO], int]] = {"otlp": write_otlp, "perfetto": write_perfetto}


@dataclass(frozen=True)
class TraceChoice:
    """Which pulls are meant: of images and of jobs that fit one of the patterns; without any, all."""

    images: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()

    def has_job(self, name: str) -> bool:
        return not self.jobs or any(fnmatchcase(name, pattern) for pattern in self.jobs)

    def has_image(self, name: str | None) -> bool:
        return not self.images or any(image_fits(name or "", pattern) for pattern in self.images)


ALL_TRACES = TraceChoice()


def export_traces(where: Path | StudySource, format: str, to: Path | None, choice: TraceChoice = ALL_TRACES) -> int:
    """Write a trace for each container with a pull, to the file or to standard output; return how many there are.

    Raises ChoiceError, OutputError, NotAStudyError, StoreError.
    """
    if format not in FORMATS:
        raise ChoiceError("format of traces", format, tuple(FORMATS))
    source = as_source(where)  # no study, no file
    with opened_study(source) as records, _insides(source) as insides:
        traces = _traces(records, insides, choice)
        if to is None:
            return FORMATS[format](traces, sys.stdout.buffer)
        with output_file(to) as file, _packed(file, to) as packed:
            return FORMATS[format](traces, packed)


@contextmanager
def _insides(source: StudySource) -> Iterator[PullInsides]:
    """What runtimes told of the source's pulls."""
    with opened(source) as store:
        joined = joined_stages(store.records(PULL_STAGES), store.pulls())
        with pull_insides(joined, store.records(LAYER)) as insides:
            yield insides


@contextmanager
def _packed(file: BinaryIO, to: Path) -> Iterator[BinaryIO]:
    """With gzip, as the name says, without a time in it: the same traces are the same file."""
    if to.suffix != ".gz":
        yield file
        return
    with GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
        yield cast(BinaryIO, packed)


def _traces(records: StudyRecords, insides: PullInsides, choice: TraceChoice) -> Iterator[Trace]:
    """Those of jobs by cluster and job, then those of pods of no job, which no choice of jobs has."""
    others = records.other_pods() if not choice.jobs else ()
    for group in chain(records.jobs(), others):
        if not group.job or choice.has_job(group.job):
            simulated = records.study.is_simulated(group.cluster)
            traces = traces_of(group, insides.of, simulated=simulated)
            yield from (trace for trace in traces if trace.spans and choice.has_image(trace.image))
