"""The parameters that pulls may tell, where each is looked for, and what is believed of one that they do not tell."""

from collections.abc import Collection
from dataclasses import dataclass

from pullstudy.sim.model.model_file import by_group
from pullstudy.sim.model.parameters import MB, ModelParameters, override

LAYERS_VARY = 3  # times as many as the fewest


@dataclass(frozen=True)
class FreeParameter:
    """``sigma`` is how far it may be from the base profile's value, as a factor's logarithm (one standard deviation).

    ``untold`` says why pulls may leave it open. ``usual`` is taken where the base has none. What a layer costs is told
    ``by_layers``: images that differ in them are wanted, or it would be taken for anything that all have in common.
    """

    name: str
    sigma: float
    untold: str
    usual: float | None = None
    by_layers: bool = False


FREE = (
    FreeParameter("volume.unpack_bytes_per_second", 1.0, "no pull is long enough to show the rate of unpacking"),
    FreeParameter("volume.write_bytes_per_second", 0.7, "no image is large enough to wait for the volume"),
    FreeParameter("volume.dirtyable_bytes", 0.7, "no image is large enough to fill the page cache's share"),
    FreeParameter("volume.commit_seconds", 1.0, "images of few and of many layers are wanted", by_layers=True),
    FreeParameter("volume.busy_commit_seconds", 0.7, "large images of few and many layers are wanted", by_layers=True),
    FreeParameter("volume.commit_bytes_per_second", 0.5, "large images of many layers are wanted", 320 * MB, True),
    FreeParameter("volume.decompress_bytes_per_second", 0.5, "no image has many compressed bytes", 80 * MB),
    FreeParameter("registry.resolve_seconds", 0.5, "small images are wanted, whose pull is mostly the resolving"),
    FreeParameter("registry.layer_latency_seconds", 0.7, "small images of many layers are wanted", by_layers=True),
    FreeParameter("network.bytes_per_second", 0.5, "no pull fills the link of its node"),
    FreeParameter("registry.egress_bytes_per_second", 0.7, "the nodes together never fill the registry's link"),
)
STREAMED = (FreeParameter("registry.streamed_seconds", 1.0, "no streamed pull was seen"),)


def free_of(base: ModelParameters) -> tuple[FreeParameter, ...]:
    """Where images are streamed, nothing else shows."""
    return FREE if base.registry.streamed_seconds is None else STREAMED


def tellable(free: tuple[FreeParameter, ...], layers: Collection[int]) -> tuple[FreeParameter, ...]:
    """Those that pulls of images of so many layers can tell at all."""
    varied = max(layers) >= LAYERS_VARY * min(layers)
    return tuple(each for each in free if varied or not each.by_layers)


def centre(base: ModelParameters, free: tuple[FreeParameter, ...]) -> dict[str, float]:
    """What each is believed to be before any pull is seen."""
    return {each.name: _value(base, each) for each in free}


def with_values(base: ModelParameters, values: dict[str, float]) -> ModelParameters:
    """The base with these. Raises ParametersError."""
    return override(base, by_group(values))


def value_of(base: ModelParameters, name: str) -> float | None:
    """By ``group.name``."""
    group, _, parameter = name.partition(".")
    value: float | None = getattr(getattr(base, group), parameter)
    return value


def _value(base: ModelParameters, free: FreeParameter) -> float:
    value = value_of(base, free.name)
    usual = free.usual if value is None else value
    assert usual is not None  # each that a profile may leave out has a usual value
    return usual
