"""What the real event logs of the study say of each image: durations of pulls, and the stretches around them.

Only what calibration needs, read here from the raw lines: the simulator shares no decoder with the clients that it is
to test.
"""

import gzip
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from pullstudy.pulls.duration import parse_seconds
from pullstudy.pulls.image import parse_image, study_shape

Json = dict[str, Any]
Shape = tuple[int, int]  # layers, unpacked bytes

_PULLED = re.compile(r'Successfully pulled image "([^"]+)" in (\S+)')


@dataclass
class RealJob:
    """One job of a log; times in seconds since the epoch, from the events' names."""

    pull_seconds: list[float] = field(default_factory=list)
    started: list[float] = field(default_factory=list)
    created: list[float] = field(default_factory=list)
    completed: float | None = None

    @property
    def median_pull_seconds(self) -> float:
        return median(self.pull_seconds)

    @property
    def tail_seconds(self) -> float | None:
        return self.completed - max(self.started) if self.completed and self.started else None

    @property
    def makespan_seconds(self) -> float | None:
        return self.completed - min(self.created) if self.completed and self.created else None


def read_log(path: Path) -> dict[Shape, RealJob]:
    """The study's jobs of one exporter log, by the shape of their image. Raises OSError."""
    events = list(_events(path))
    shapes = _shapes_of_jobs(events)
    jobs: dict[Shape, RealJob] = defaultdict(RealJob)
    for event in events:
        shape = shapes.get(_job_uid(event))
        if shape is not None:
            _note(jobs[shape], event)
    return {shape: job for shape, job in jobs.items() if job.pull_seconds}


def _events(path: Path) -> Iterator[Json]:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        for line in lines:
            try:
                event = msgspec.json.decode(line)
            except msgspec.DecodeError:
                continue  # the exporter's own log lines stand between the events
            if "involvedObject" in event:
                yield event


def _job_uid(event: Json) -> str:
    involved = event["involvedObject"]
    if involved["kind"] == "Job":
        return str(involved["uid"])
    owners = involved.get("ownerReferences") or [{}]
    return str(owners[0].get("uid", ""))


def _shapes_of_jobs(events: list[Json]) -> dict[str, Shape]:
    shapes = {}
    for event in events:
        match = _PULLED.match(event.get("message", ""))
        shape = study_shape(parse_image(match[1]).tag) if match else None
        if shape:
            shapes[_job_uid(event)] = shape
    return shapes


def _note(job: RealJob, event: Json) -> None:
    at = int(event["metadata"]["name"].rpartition(".")[2], 16) / 1e9
    match event["reason"]:
        case "Pulled" if found := _PULLED.match(event.get("message", "")):
            job.pull_seconds.append(parse_seconds(found[2]))
        case "Started":
            job.started.append(at)
        case "SuccessfulCreate":
            job.created.append(at)
        case "Completed":
            job.completed = at
