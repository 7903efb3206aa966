"""``pulldriver calibrate``."""

import asyncio
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from driver.commands.options import DEFAULT_OUT, AskRegistry, Json, Manifests, Out, SimProfile
from driver.commands.reading import Clusters, ReadArchive, ReadInflux, Runs, source_of
from driver.errors import DriverError, UsageError
from driver.planning.study import Profile
from driver.terminal import write_text
from pullstudy.atomic_file import write_file
from pullstudy.extras import require
from pullstudy.pulls.image import parse_image, study_shape
from pullstudy.pulls.printable import printable
from pullstudy.pulls.sizes import SizesError, parse_sizes
from pullstudy.sim.model.model_file import Calibration, FittedValue, HeldValue, ModelFile, write_model
from pullstudy.sim.model.parameters import PROFILES

if TYPE_CHECKING:
    from driver.planning.calibration_records import CalibrationRecords
    from pullstudy.analysis.reading.source import StudySource
    from pullstudy.pulls.image_size import ImageSize
    from pullstudy.sim.calibration.calibration import FittedModel
    from pullstudy.sim.calibration.seen_jobs import SeenJob
    from pullstudy.sim.model.model_file import HeldOutError

_SHOWN_IMAGES = 3


def calibrate_command(
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Write the model here, as --model takes it.")],
    out: Out = DEFAULT_OUT,
    profile: SimProfile = None,
    hold_out: Annotated[
        str | None,
        typer.Option(
            "--hold-out",
            metavar="SIZES",
            help="Fit without clusters of these sizes (16,32), and say how far off the model is for them.",
        ),
    ] = None,
    influx: ReadInflux = None,
    archive: ReadArchive = None,
    run: Runs = None,
    cluster: Clusters = None,
    manifests: Manifests = None,
    ask_registry: AskRegistry = False,
    json: Json = False,
) -> None:
    """Fit the simulator's model to a study's own pulls: the model of the cluster that they were made on.

    With what is told its interval, with what is not the reason, and how far off it is for what it has not seen
    (docs/calibrate.md). Needs the extra `calibrate`.

    Examples:

      pulldriver calibrate --out pulling-study --to model.json

      pulldriver calibrate --out pulling-study --to model.json --profile gke-pd --hold-out 16,32

      pulldriver calibrate --out imported --to model.json --manifests manifests.json

      pulldriver sweep --sizes 4..256 --model model.json --out foretold
    """
    require("scipy", "calibrate")
    sizes = _sizes(hold_out)
    base = profile or Profile.EKS_GP2
    source = source_of(out, influx, archive, run, cluster)
    records = _records(source, base, manifests or (), ask_registry=ask_registry)
    for line in say_records(records):
        _say(line)
    model = _calibrated(records.jobs, base, str(source), sizes)
    write_file(to, write_model(model))
    assert model.calibration is not None
    if json:
        print(write_model(model).decode(), end="")
    else:
        print("\n".join(map(printable, _say_model(model.calibration, to))))


def _say(line: str) -> None:
    """Progress and remarks: standard output is the answer."""
    write_text(sys.stderr, f"{printable(line)}\n")


def _sizes(text: str | None) -> frozenset[int]:
    try:
        return frozenset(parse_sizes(text)) if text else frozenset()
    except SizesError as error:
        raise UsageError(f"--hold-out: {error}") from error


def _records(
    source: "StudySource", base: Profile, manifests: Sequence[str], *, ask_registry: bool
) -> "CalibrationRecords":
    from driver.planning.calibration_records import calibration_records, known_sizes, pulled_images
    from pullstudy.analysis.report.facts import gather_facts

    _say(f"reading {source}")
    facts = gather_facts(source)
    images = pulled_images(facts.jobs)
    sizes = {**known_sizes(facts.study), **_told_sizes(images, manifests)}
    if ask_registry:
        sizes |= _asked_sizes([image for image in images if image not in sizes])
    streamed = PROFILES[base].registry.streamed_seconds is not None
    return calibration_records(facts.jobs, sizes, streamed=streamed)


def _told_sizes(images: Sequence[str], manifests: Sequence[str]) -> "dict[str, ImageSize]":
    from driver.planning.manifest_files import sizes_of_files

    return sizes_of_files(tuple(manifests), Path(), tuple(images)) if manifests else {}


def _asked_sizes(images: Sequence[str]) -> "dict[str, ImageSize]":
    from driver.registries.registry import sizes_from_registries

    unknown = tuple(image for image in images if not study_shape(parse_image(image).tag))
    return asyncio.run(sizes_from_registries(unknown, os.environ))


def say_records(records: "CalibrationRecords") -> Iterator[str]:
    """What of a study cannot be used."""
    for reason, jobs in sorted(records.left_out.items()):
        yield f"left out: {jobs} jobs {reason}"
    if records.unsized:
        named = ", ".join(records.unsized[:_SHOWN_IMAGES]) + (" ..." if len(records.unsized) > _SHOWN_IMAGES else "")
        yield f"no bytes are known of {named}: give --manifests FILE or --ask-registry"


def _calibrated(jobs: "Sequence[SeenJob]", base: Profile, study: str, sizes: frozenset[int]) -> ModelFile:
    """Raises DriverError where these jobs are too few."""
    from pullstudy.sim.calibration.calibration import CalibrationError, fit_model, model_file

    unknown = sizes - {job.nodes for job in jobs}
    if unknown:
        there = ", ".join(map(str, sorted({job.nodes for job in jobs}))) or "none"
        raise UsageError(f"--hold-out {min(unknown)}: no job that can be used ran on so many nodes; there is {there}")
    seen = [job for job in jobs if job.nodes not in sizes]
    _say(f"fitting {len(seen)} jobs")
    parameters = PROFILES[base]
    try:
        model = fit_model(seen, parameters)
    except CalibrationError as error:
        raise DriverError(str(error)) from error
    left_out = [job for job in jobs if job.nodes in sizes]
    errors = list(_errors(seen, left_out, base, model))
    return model_file(model, seen, parameters, base, study, errors)


def _errors(
    seen: "Sequence[SeenJob]", left_out: "Sequence[SeenJob]", base: Profile, model: "FittedModel"
) -> "Iterator[HeldOutError]":
    """Of the sizes that were held out; without any, of each size; and of each image and cluster."""
    from pullstudy.sim.calibration.calibration import LeftOut, foretold_trials, held_out_error, trials

    for kind in get_args(LeftOut):
        if left_out and kind == "size":
            found = list(foretold_trials(left_out, seen, model))
        else:
            found = list(trials(seen, PROFILES[base], model, kind, _say))
        if found:
            yield held_out_error(kind, found)


def _say_model(calibration: Calibration, to: Path) -> Iterator[str]:
    jobs, pulls = (sum(getattr(each, what) for each in calibration.records) for what in ("jobs", "pulls"))
    clusters = ", ".join(f"{each.cluster} ({each.nodes} nodes)" for each in calibration.records)
    yield f"model of {jobs} jobs with {pulls} pulls on {clusters}, from the profile {calibration.profile}"
    yield f"  {'told by these pulls':<40}{'':>12}   90% interval"
    yield from (_say_fitted(name, told) for name, told in calibration.fitted.items())
    yield f"  {'not told':<40}{'held at':>12}   usual"
    yield from (_say_held(name, held) for name, held in calibration.unidentified.items())
    if calibration.held_out:
        heads = f"{'jobs':>5}{'median':>9}{'p95':>8}{'in 90%':>8}{'nearest':>9}{'regression':>12}"
        yield f"  {'left out, one at a time':<24}{heads}"
        yield from map(_say_error, calibration.held_out)
    yield f"next: pulldriver predict IMAGE --nodes 64 --model {shlex.quote(str(to))}"


def _say_fitted(name: str, told: FittedValue) -> str:
    return f"  {name:<40}{told.value:>12.4g}   {told.low:.4g} to {told.high:.4g}"


def _say_held(name: str, held: HeldValue) -> str:
    return f"  {name:<40}{held.value:>12.4g}   {held.low:.4g} to {held.high:.4g}: {held.why}"


def _say_error(error: "HeldOutError") -> str:
    return (
        f"  {error.left_out:<24}{error.jobs:>5}{error.median_error:>9.1%}{error.p95_error:>8.1%}{error.coverage:>8.0%}"
        f"{error.nearest:>9.1%}{error.regression:>12.1%}"
    )
