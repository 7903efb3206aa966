"""What real event logs say of each job's image: durations of pulls, and the stretches around them.

Only what calibration needs, read here from the raw lines: the simulator shares no decoder with the clients that it is
to test.
"""

import gzip
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from pullstudy.pulls.duration import parse_seconds
from pullstudy.pulls.image import parse_image, study_shape
from pullstudy.pulls.image_size import ImageSize
from pullstudy.sim.calibration.seen_jobs import SeenJob
from pullstudy.sim.model.images import Image, ImageCatalogue, describe

Json = dict[str, Any]

_PULLED = re.compile(r'Successfully pulled image "([^"]+)" in (\S+) \((\S+) including waiting\)(?:.*size: (\d+))?')
APPLICATION_LAYERS = 10  # the logs do not tell those of applications: some 5 to 15 are usual


@dataclass
class RealJob:
    """One job of a log; times in seconds since the epoch, from the events' names. ``on_node`` has one pull a node."""

    on_node: dict[str, float] = field(default_factory=dict)
    image_bytes: int = 0  # by the kubelet, from 1.30 on
    started: list[float] = field(default_factory=list)
    created: list[float] = field(default_factory=list)
    completed: float | None = None

    @property
    def tail_seconds(self) -> float | None:
        return self.completed - max(self.started) if self.completed and self.started else None

    @property
    def makespan_seconds(self) -> float | None:
        return self.completed - min(self.created) if self.completed and self.created else None

    def seen(self, cluster: str, nodes: int, reference: str) -> SeenJob:
        """What calibration takes of it."""
        return SeenJob(cluster, nodes, _image(reference, self.image_bytes), tuple(self.on_node.values()))


def read_log(path: Path, wanted: re.Pattern[str]) -> dict[str, RealJob]:
    """The jobs of one exporter log that pull an image whose reference fits, by this reference. Raises OSError."""
    events = list(_events(path))
    images = _images_of_jobs(events, wanted)
    jobs: dict[str, RealJob] = defaultdict(RealJob)
    for event in events:
        image = images.get(_job_uid(event))
        if image is not None:
            _note(jobs[image], image, event)
    return {image: job for image, job in jobs.items() if job.on_node}


def _image(reference: str, image_bytes: int) -> Image:
    if study_shape(parse_image(reference).tag):
        return describe(reference)
    size = ImageSize(compressed_bytes=image_bytes, layers=APPLICATION_LAYERS)
    return ImageCatalogue({reference: size}).describe(reference)


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


def _images_of_jobs(events: list[Json], wanted: re.Pattern[str]) -> dict[str, str]:
    images = {}
    for event in events:
        match = _PULLED.match(event.get("message", ""))
        if match and wanted.search(match[1]):
            images[_job_uid(event)] = match[1]
    return images


def _note(job: RealJob, image: str, event: Json) -> None:
    at = int(event["metadata"]["name"].rpartition(".")[2], 16) / 1e9
    match event["reason"]:
        case "Pulled" if (found := _PULLED.match(event.get("message", ""))) and found[1] == image:
            # Of two pods of a node that want one image the second waits for the bytes of the first.
            node = event["source"]["host"]
            job.on_node[node] = max(job.on_node.get(node, 0.0), parse_seconds(found[2]))
            job.image_bytes = int(found[4] or 0)
        case "Started":
            job.started.append(at)
        case "SuccessfulCreate":
            job.created.append(at)
        case "Completed":
            job.completed = at
