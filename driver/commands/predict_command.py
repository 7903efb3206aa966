"""``pulldriver predict``."""

import asyncio
import os
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import typer

from driver.clusters.held_images import HeldImages, read_held_images
from driver.commands.options import AskRegistry, Json, Model, SimProfile
from driver.errors import UsageError
from driver.planning.image_sizes import untold
from driver.planning.manifest_files import sizes_of_files
from driver.planning.prediction import (
    ImagePrediction,
    Prediction,
    assumptions,
    check_nodes,
    held_layers,
    predictions,
)
from driver.planning.study import Images, Overrides, Profile, load_study
from driver.progress import say_image
from pullstudy.pulls.image_size import ImageSize
from pullstudy.pulls.kubernetes_names import reference_fault
from pullstudy.pulls.printable import printable
from pullstudy.pulls.sizes import SizesError, parse_sizes
from pullstudy.sim.model.model_file import check_model
from pullstudy.sim.model.parameters import PROFILES
from pullstudy.sim.prediction.quantities import CONFIDENCE, Bounds, Estimate


def predict_command(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="The images, as a pod names them.")],
    nodes: Annotated[
        str, typer.Option("--nodes", metavar="NODES", help="How many pull at once: 64, or several: 4..256, 4,8,12.")
    ],
    profile: SimProfile = None,
    model: Model = None,
    manifest: Annotated[
        list[str] | None,
        typer.Option(
            "--manifest",
            metavar="FILE",
            help="Manifests, which tell layers and bytes, of these images and of those that nodes hold: a JSON file, "
            "or IMAGE=FILE where it does not name its image; may be repeated.",
        ),
    ] = None,
    held: Annotated[
        Path | None,
        typer.Option(
            "--held", metavar="FILE", help="What nodes hold already: a Node, or a list, as kubectl get nodes -o json."
        ),
    ] = None,
    ask_registry: AskRegistry = False,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of all that is random.")] = 1,
    json: Json = False,
) -> None:
    """Foretell how long nodes take to pull images, how long the job takes, and what that asks of the registry.

    By the simulator's model (docs/predict.md): nothing is pulled. Nine of ten times lie within the bounds beside them.

    Examples:

      pulldriver predict registry.example/team/app:1.2 --nodes 4..256 --ask-registry

      pulldriver predict app:1.2 --nodes 64 --manifest app:1.2=manifest.json --held nodes.json

      pulldriver predict app:1.2 app:1.3 --nodes 64 --manifest manifests.json --model model.json --json
    """
    counts = _counts(nodes)
    _check_images(images)
    here = read_held_images(held) if held else HeldImages(nodes=0, names=frozenset(), cut=False)
    sizes = _sizes(images, here, manifest or [], ask_registry=ask_registry)
    # Read as a study's own, with the same complaints.
    simulated = load_study(None, Overrides(profile=profile or Profile.EKS_GP2, model=model)).sim
    model_file = check_model(cast(dict[str, dict[str, Any]], simulated.model))
    parameters = model_file.parameters(PROFILES[simulated.profile])
    draws = list(model_file.draws(PROFILES[simulated.profile]))
    holding = held_layers(here.names, sizes)
    found = Prediction(
        model=f"{simulated.profile.value}{f' with {model}' if model else ''}",
        draws=len(draws),
        seed=seed,
        confidence=CONFIDENCE,
        predictions=tuple(predictions(images, sizes, counts, parameters, draws, holding, seed)),
        assumptions=(*assumptions(images, sizes, parameters, holding), *_of_nodes(here)),
    )
    if json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        print("\n".join(map(printable, say_prediction(found))))


def _counts(text: str) -> tuple[int, ...]:
    try:
        counts = parse_sizes(text)
    except SizesError as error:
        raise UsageError(f"--nodes: {error}") from error
    check_nodes(counts)
    return counts


def _check_images(images: list[str]) -> None:
    for image in images:
        if fault := reference_fault(image):
            raise UsageError(f"image {image!r} is no reference ({fault}): NAME[:TAG][@DIGEST], its name in lower case")
    if len(set(images)) < len(images):
        raise UsageError("an image is named twice; name each once")


def _sizes(images: list[str], here: HeldImages, files: list[str], *, ask_registry: bool) -> dict[str, ImageSize]:
    """What files of manifests and registries tell. Raises UsageError where nothing tells how large an image is."""
    sizes = sizes_of_files(files, Path(), images, sorted(here.names))
    unknown = untold(Images(tags=(), more=tuple(images), sizes=sizes))
    if unknown and ask_registry:
        from driver.registries.registry import sizes_from_registries

        return {**sizes, **asyncio.run(sizes_from_registries(unknown, os.environ))}
    if unknown:
        raise UsageError(f"image {unknown[0]}: nothing tells its bytes; give --manifest FILE, or --ask-registry")
    return sizes


def _of_nodes(here: HeldImages) -> Iterator[str]:
    if here.nodes > 1:
        yield f"each node holds what all {here.nodes} nodes of the file hold, and nothing more"
    if here.cut:
        yield "kubelets list 50 images: what a node holds besides is not known, and taken to be pulled"


_TIMES = f"  {'nodes':>6}  {'':<9}{'p50':>24}{'p95':>24}{'p99':>24}{'nine of ten':>20}"
_REGISTRY = (
    f"  {'nodes':>6}{'requests':>10}{'bytes':>10}{'busiest second':>16}{'refused':>9}{'has to send':>14}  with less"
)


def say_prediction(found: Prediction) -> Iterator[str]:
    """In lines."""
    yield f"model {found.model}; in brackets: where nine of ten such jobs will have it"
    for _, group in groupby(found.predictions, key=lambda each: each.image):
        of_image = list(group)
        yield ""
        yield f"{say_image(of_image[0].image)}: {_say_bytes(of_image[0])}"
        if of_image[0].job is None:
            yield "  nothing is pulled: the nodes hold it"
            continue
        yield _TIMES
        for each in of_image:
            yield from _say_times(each)
        yield _REGISTRY
        for each in of_image:
            yield from _say_registry(each)
    yield ""
    yield from (f"assumed: {each}" for each in found.assumptions)


def _say_bytes(each: ImagePrediction) -> str:
    whole = (
        f"{each.layers} layers, {size_of(each.compressed_bytes)} compressed, {size_of(each.unpacked_bytes)} unpacked"
    )
    if each.missing_layers == each.layers:
        return whole
    return f"{whole}; {each.missing_layers} layers, {size_of(each.missing_bytes)} to pull"


def _say_times(each: ImagePrediction) -> Iterator[str]:
    job = each.job
    rows = (("pull", job.pull, job.single_pull), ("makespan", job.makespan, job.single_makespan)) if job else ()
    for place, (name, quantiles, single) in enumerate(rows):
        cells = "".join(f"{_say_estimate(value):>24}" for value in (quantiles.p50, quantiles.p95, quantiles.p99))
        yield f"  {each.nodes if not place else '':>6}  {name:<9}{cells}{_say_bounds(single):>20}"


def _say_estimate(value: Estimate) -> str:
    return f"{value.value:.4g} s ({value.low:.3g} to {value.high:.3g})"


def _say_bounds(value: Bounds) -> str:
    return f"{value.low:.3g} to {value.high:.3g} s"


def _say_registry(each: ImagePrediction) -> Iterator[str]:
    if (load := each.registry) is None:
        return
    slowed = ", ".join(
        f"{_factor(slow.times_as_long)} times as long at {size_of(slow.egress_bytes_per_second)}/s"
        for slow in load.slowed
    )
    refused = "" if load.refusals is None else f"{load.refusals:,}"
    yield (
        f"  {each.nodes:>6}{load.requests.total:>10,}{size_of(load.bytes):>10}{size_of(load.busiest_second_bytes):>16}"
        f"{refused:>9}{size_of(load.needed_egress_bytes_per_second) + '/s':>14}  {slowed}"
    )


def _factor(times: float) -> str:
    return f"{times:.2g}" if times < 10 else f"{times:.0f}"


def size_of(count: float) -> str:
    """``3.1 GB``."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count:.0f} B"
