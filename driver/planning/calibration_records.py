"""The jobs of a study that a model can be fitted on, and why the others cannot be used."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pullstudy.analysis.reading.image_sizes import sizes_of_runs
from pullstudy.analysis.reading.study import Study
from pullstudy.analysis.timelines.job_summary import ImagePulls, JobSummary
from pullstudy.pulls.image import parse_image, study_shape
from pullstudy.pulls.image_size import ImageSize, SizeSource
from pullstudy.pulls.streamed import Streamed
from pullstudy.sim.calibration.seen_jobs import SeenJob
from pullstudy.sim.model.images import Image, ImageCatalogue, describe

_FRESH = ("cold", "unknown")  # of unknown ones the kubelet says that they were pulled


@dataclass(frozen=True)
class CalibrationRecords:
    """``left_out`` counts jobs by the reason; ``unsized`` are the images whose bytes nothing tells."""

    jobs: list[SeenJob]
    left_out: Counter[str] = field(default_factory=Counter)
    unsized: tuple[str, ...] = ()


def pulled_images(jobs: Sequence[JobSummary]) -> list[str]:
    """Of jobs of one image."""
    return sorted({job.image for job in jobs if job.image is not None})


def known_sizes(study: Study) -> dict[str, ImageSize]:
    """By reference: as the study's runs have them, and as imported manifests do."""
    layers: dict[str, list[tuple[int, str]]] = {}
    for layer in sorted(study.layers, key=lambda layer: (layer.image, layer.position)):
        layers.setdefault(layer.image, []).append((layer.layer_bytes, layer.digest))
    imported = {
        image: ImageSize(
            layers=tuple(size for size, _ in found),
            digests=tuple(digest for _, digest in found),
            source=SizeSource.MANIFEST,
        )
        for image, found in layers.items()
    }
    return {**imported, **sizes_of_runs(study.ledger.runs)}


def calibration_records(
    jobs: Sequence[JobSummary], sizes: Mapping[str, ImageSize], *, streamed: bool
) -> CalibrationRecords:
    """``streamed``: of pulls that were streamed, or may have been, in place of those that were not."""
    catalogue = ImageCatalogue(sizes)
    left_out = Counter[str]()
    unsized: set[str] = set()
    found: list[SeenJob] = []

    def image_of(reference: str) -> Image | None:
        if study_shape(parse_image(reference).tag):
            return describe(reference)
        return catalogue.describe(reference) if reference in sizes else None

    for job in sorted(jobs, key=lambda job: job.order):
        fault = _fault(job)
        image = image_of(job.image) if fault is None and job.image is not None else None
        if fault is None and image is None:
            unsized.add(job.image or "")
            fault = "of images whose bytes nothing tells"
        seconds = tuple(_fresh(job, streamed=streamed))
        if fault is None and not seconds:
            fault = "without a cold pull" if not streamed else "without a streamed pull"
        if fault is not None or image is None or job.size is None:
            left_out[str(fault)] += 1
        else:
            found.append(SeenJob(job.cluster, job.size, image, seconds))
    return CalibrationRecords(found, left_out, tuple(sorted(unsized)))


def _fault(job: JobSummary) -> str | None:
    if job.image is None:
        return "of several images"
    return "of clusters whose size is unknown" if job.size is None else None


def _fresh(job: JobSummary, *, streamed: bool) -> Iterator[float]:
    """One a node: pods that wait for another's download are not among ``downloads``."""
    wanted: Callable[[ImagePulls], bool] = lambda each: (each.streaming is Streamed.WHOLE) != streamed  # noqa: E731
    for each in job.pulls:
        if each.image == job.image and each.cache in _FRESH and wanted(each):
            yield from each.downloads
