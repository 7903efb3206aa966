"""What the model says of images on clusters before anything is pulled: ``pulldriver predict``."""

from collections.abc import Iterator, Mapping, Sequence, Set

import msgspec

from driver.errors import UsageError
from pullstudy.pulls.image import full_reference, parse_image, study_shape
from pullstudy.pulls.image_size import ImageSize
from pullstudy.sim.model.images import Image, ImageCatalogue
from pullstudy.sim.model.parameters import ModelParameters
from pullstudy.sim.model.pull_model import Missing
from pullstudy.sim.prediction.job_prediction import JobPrediction, predict_job
from pullstudy.sim.prediction.registry_load import RegistryLoad, registry_load
from pullstudy.sim.prediction.usual_spread import USUAL, spread_is_known, with_spread

MOST_NODES = 5_000  # Kubernetes is made for clusters of so many


class ImagePrediction(msgspec.Struct, frozen=True, kw_only=True):
    """One image on one cluster. ``job`` is None where each node holds the image: nothing is pulled then."""

    image: str
    nodes: int
    layers: int
    compressed_bytes: int
    unpacked_bytes: int
    missing_layers: int
    missing_bytes: int  # compressed
    size_source: str
    job: JobPrediction | None
    registry: RegistryLoad | None


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, as ``--json`` prints it. Seconds, bytes, and bytes a second."""

    model: str
    draws: int  # of its parameters, which carry how roughly they are known; 1: they are taken as they are
    seed: int
    confidence: float
    predictions: tuple[ImagePrediction, ...]
    assumptions: tuple[str, ...]


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What each node holds: images by their full names, and layers by digest, as far as manifests tell them."""

    images: frozenset[str] = frozenset()
    layers: frozenset[str] = frozenset()
    unknown: int = 0  # images of which no manifest is known


def held_layers(names: Set[str], sizes: Mapping[str, ImageSize]) -> Held:
    """Of images that nodes hold, whose layers their manifests tell, or their names."""
    catalogue = ImageCatalogue(sizes)
    known = [name for name in names if name in sizes or study_shape(parse_image(name).tag)]
    layers = (layer.digest for name in known for layer in catalogue.describe(name).layers)
    # A node lists an image by its tag and, once more, by its digest.
    tagged = {name for name in names if "@" not in name}
    return Held(images=frozenset(names), layers=frozenset(layers), unknown=len(tagged - set(known)))


def predictions(
    images: Sequence[str],
    sizes: Mapping[str, ImageSize],
    nodes: Sequence[int],
    model: ModelParameters,
    draws: Sequence[ModelParameters],
    held: Held,
    seed: int,
) -> Iterator[ImagePrediction]:
    """Each image at each number of nodes. ``draws`` of the model carry how roughly its parameters are known."""
    catalogue = ImageCatalogue(sizes)
    spread = [with_spread(each) for each in draws]
    for image in images:
        described = catalogue.describe(image)
        for count in nodes:
            yield _prediction(described, sizes.get(image), count, with_spread(model), spread, held, seed)


def _prediction(
    image: Image,
    size: ImageSize | None,
    nodes: int,
    model: ModelParameters,
    draws: Sequence[ModelParameters],
    held: Held,
    seed: int,
) -> ImagePrediction:
    is_held = any(full_reference(image.reference).same_image(full_reference(name)) for name in held.images)
    missing = Missing.of(image, held.layers)
    return ImagePrediction(
        image=image.reference,
        nodes=nodes,
        layers=len(image.layers),
        compressed_bytes=image.compressed_bytes,
        unpacked_bytes=image.unpacked_bytes,
        missing_layers=0 if is_held else len(missing.layers),
        missing_bytes=0 if is_held else missing.compressed_bytes,
        size_source=(size.source.value if size else "name"),
        job=None if is_held else predict_job(draws, missing, nodes, seed),
        registry=None if is_held else registry_load(model, missing, nodes, seed),
    )


def assumptions(
    images: Sequence[str], sizes: Mapping[str, ImageSize], model: ModelParameters, held: Held
) -> Iterator[str]:
    """What was taken to be so, and nothing told."""
    yield "one pod a node, each node otherwise idle; nodes that nobody named hold none of the layers"
    if not spread_is_known(model):
        yield (
            f"the model does not say what pulls and clusters differ by: {USUAL.pull_sigma:.0%} and "
            f"{USUAL.cluster_sigma:.0%} are taken"
        )
    estimated = [image for image in images if image in sizes and sizes[image].unpacked_bytes is None]
    if estimated:
        yield f"what {', '.join(estimated[:3])} unpacks to is estimated from its compressed bytes: no manifest has it"
    if held.unknown:
        yield f"{held.unknown} held images, whose manifests are not known, are taken to share no layer"
    rate = model.registry.requests_per_second
    if rate is None:
        yield "the model has no limit of requests: what a registry refuses is not in these times"
    else:
        yield f"beyond {rate:g} requests a second the registry refuses pulls: kubelets begin them again after a while"


def check_nodes(nodes: Sequence[int]) -> None:
    """Raises UsageError where there are more than a cluster has."""
    if max(nodes) > MOST_NODES:
        raise UsageError(f"--nodes {max(nodes)}: {MOST_NODES:,} at most, as many as Kubernetes is made for")
