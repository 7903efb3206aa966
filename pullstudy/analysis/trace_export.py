"""``pulldriver export trace``: pulls as traces for other tools, a job at a time."""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from pullstudy.analysis.errors import ChoiceError
from pullstudy.analysis.output_file import output_file
from pullstudy.analysis.reading.source import StudySource, as_source
from pullstudy.analysis.reading.study import StudyRecords, opened_study
from pullstudy.analysis.traces.container_trace import traces_of
from pullstudy.analysis.traces.otlp import write_otlp
from pullstudy.analysis.traces.perfetto import write_perfetto
from pullstudy.analysis.traces.span import Trace
from pullstudy.pulls.image import image_fits

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
    with opened_study(source) as records:
        traces = _traces(records, choice)
        if to is None:
            return FORMATS[format](traces, sys.stdout.buffer)
        with output_file(to) as file:
            return FORMATS[format](traces, file)


def _traces(records: StudyRecords, choice: TraceChoice) -> Iterator[Trace]:
    """Those of jobs by cluster and job, then those of pods of no job, which no choice of jobs has."""
    others = records.other_pods() if not choice.jobs else ()
    for group in chain(records.jobs(), others):
        if not group.job or choice.has_job(group.job):
            simulated = records.study.is_simulated(group.cluster)
            traces = traces_of(group, simulated=simulated)
            yield from (trace for trace in traces if trace.spans and choice.has_image(trace.image))
