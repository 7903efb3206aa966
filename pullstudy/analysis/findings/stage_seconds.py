"""Where the time inside of pulls went: the stages of pulls of one image and cluster size together.

Stages of one pull add up to its wall time, so that their means add up to the mean wall time; medians would not.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pullstudy.analysis.findings.finding import Finding, FindingId, Verdict
from pullstudy.analysis.statistics.quantiles import median
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.pulled_layer import PulledLayer
from pullstudy.pulls.record import Outcome
from pullstudy.pulls.stage import Stage

STAGES = tuple(Stage)
_COLUMNS = {stage: f"{stage}_seconds" for stage in STAGES}
_ASSUMED = ("a stage that the witness cannot tell is in its neighbour", "no interval: pulls of one moment share much")


@dataclass(slots=True)
class ImageStages:
    """Pulls of one image at one cluster size that came to their end and of which nothing is known to be missing."""

    image: str
    size: int | None
    walls: "array[float]" = field(default_factory=lambda: array("d"))
    sums: Counter[Stage] = field(default_factory=Counter)  # seconds, floats too
    told: set[Stage] = field(default_factory=set)

    @property
    def pulls(self) -> int:
        return len(self.walls)

    @property
    def median_seconds(self) -> float:
        return median(sorted(self.walls))

    def mean(self, stage: Stage) -> float | None:
        """Seconds a pull; None where no witness told it."""
        return self.sums[stage] / self.pulls if stage in self.told else None

    def share(self, stage: Stage) -> float:
        """Of the wall time."""
        whole = sum(self.walls)
        return self.sums[stage] / whole if whole else 0.0

    def add(self, pull: PullStages) -> None:
        self.walls.append(pull.wall_seconds)
        for stage, column in _COLUMNS.items():
            seconds = getattr(pull, column)
            if seconds is not None:
                self.told.add(stage)
                self.sums[stage] += seconds


@dataclass(slots=True)
class LayerTimes:
    """One layer of an image, in all its pulls."""

    image: str
    digest: str
    position: int | None = None
    layer_bytes: int | None = None
    pulls: int = 0
    held_seconds: float = 0.0  # sums, as those below
    apply_seconds: float = 0.0
    transfer_seconds: float = 0.0
    transferred_bytes: int = 0  # in those
    there: int = 0  # pulls that found its bytes on the node

    def add(self, layer: PulledLayer) -> None:
        self.pulls += 1
        self.position = layer.position if self.position is None else self.position
        self.layer_bytes = layer.layer_bytes if self.layer_bytes is None else self.layer_bytes
        self.held_seconds += layer.held_seconds or 0.0
        self.apply_seconds += layer.apply_seconds or 0.0
        self.there += bool(layer.present)
        if layer.transfer_seconds and layer.layer_bytes:
            self.transfer_seconds += layer.transfer_seconds
            self.transferred_bytes += layer.layer_bytes


class StageSeconds:
    """What is kept of the records of stages and of layers while they stream by: some bytes a pull."""

    def __init__(self) -> None:
        self._images: dict[tuple[str, int | None], ImageStages] = {}
        self._layers: dict[tuple[str, str], LayerTimes] = {}
        self.failed = 0
        self.incomplete = 0

    def add(self, pull: PullStages) -> None:
        if pull.outcome is Outcome.FAILED:
            self.failed += 1
        elif not pull.complete or pull.image is None:
            self.incomplete += 1
        else:
            key = (pull.image, pull.size)
            if key not in self._images:
                self._images[key] = ImageStages(*key)
            self._images[key].add(pull)

    def add_layer(self, layer: PulledLayer) -> None:
        if layer.image is not None:
            key = (layer.image, layer.layer_digest)
            if key not in self._layers:
                self._layers[key] = LayerTimes(*key)
            self._layers[key].add(layer)

    @property
    def pulls(self) -> int:
        """All, those too that are left out."""
        return sum(image.pulls for image in self._images.values()) + self.failed + self.incomplete

    @property
    def images(self) -> list[ImageStages]:
        """The most time first."""
        return sorted(self._images.values(), key=lambda each: (-sum(each.walls), each.image, each.size or 0))

    @property
    def layers(self) -> list[LayerTimes]:
        """Those that held pulls up most, all pulls together, first."""
        return sorted(self._layers.values(), key=lambda each: (-each.held_seconds, each.image, each.digest))

    def findings(self) -> Iterator[Finding]:
        """The mean seconds of each stage."""
        for image in self.images:
            yield from _findings(image)


def stage_seconds(pulls: Iterable[PullStages], layers: Iterable[PulledLayer]) -> StageSeconds:
    found = StageSeconds()
    for pull in pulls:
        found.add(pull)
    for layer in layers:
        found.add_layer(layer)
    return found


def _findings(image: ImageStages) -> Iterator[Finding]:
    at_size = f", {image.size} nodes" if image.size is not None else ""
    for stage in STAGES:
        seconds, share = image.mean(stage), f"{100 * image.share(stage):.1f}%"
        if seconds is not None:
            yield Finding(
                id=FindingId.STAGE,
                subject=f"{stage}, {image.image}{at_size}",
                value=seconds,
                unit="s",
                n=image.pulls,
                counts="pulls",
                verdict=Verdict.YES,
                evidence=f"{stage} held a pull up for {seconds:.3g} s on average, {share} of its time",
                assumptions=_ASSUMED,
                size=image.size,
                image=image.image,
                stage=stage,
            )
