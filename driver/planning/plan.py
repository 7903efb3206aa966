"""What a sweep would do, how long it takes and what it costs, before anything is started."""

import random
import re
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import msgspec

from driver.planning.image_sizes import guessed
from driver.planning.job_estimate import estimated_job_seconds, job_pace
from driver.planning.price import HourlyPrice, nodes_price
from driver.planning.study import Order, RunPlan, Study
from pullstudy.pulls.image import parse_image, study_shape
from pullstudy.pulls.image_size import ImageSize

JOB_NAME_LENGTH = 52  # a pod's name adds "-<index>-<5 chars>", and 63 is the longest label
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")


class PlannedJob(msgspec.Struct, frozen=True, kw_only=True):
    """One image at one size, once. ``position`` counts through the run, from 0."""

    position: int
    size: int
    image: str
    repeat: int

    def name(self, attempt: int, mark: str = "") -> str:
        """The Job's name in the cluster: another one for each attempt, so that their pods never mix.

        ``mark`` is the run's, where the jobs of several come to one cluster.
        """
        tail = f"-r{self.repeat}-a{attempt}" + (f"-{mark}" if mark else "")
        head = f"pull-{self.position}-"
        return head + image_slug(self.image, JOB_NAME_LENGTH - len(head) - len(tail)) + tail


def image_slug(image: str, length: int) -> str:
    """What tells the image from its neighbours, in the letters that a name may have."""
    reference = parse_image(image)
    shape = study_shape(reference.tag)
    if shape:
        text = f"{shape[0]}l-{shape[1] // 1_000_000}mb"
    else:
        text = f"{reference.repository.rpartition('/')[2]}-{reference.tag or 'latest'}".lower()
    return _NOT_IN_NAMES.sub("-", text)[:length].strip("-") or "image"


class Overhead(msgspec.Struct, frozen=True, kw_only=True):
    """What a size takes beside its jobs, estimated: its cluster is paid for meanwhile."""

    make_seconds: float = 0.0
    delete_seconds: float = 0.0


@runtime_checkable
class DescribesResources(Protocol):
    """A provider of which a user wants to know what it makes before it does."""

    def makes(self, study: Study) -> tuple[str, ...]:
        """A line for each kind of thing."""
        ...


@runtime_checkable
class EstimatesOverhead(Protocol):
    """A provider that knows better than ``overhead_seconds`` what it takes to make and delete the cluster of a size."""

    def overhead(self, study: Study, size: int) -> Overhead: ...


class SizePlan(msgspec.Struct, frozen=True, kw_only=True):
    """One size of the plan, with estimates."""

    size: int
    cluster: str
    jobs: int
    pulls: int
    seconds: float
    overhead: Overhead
    cost: float


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of it, for people and, as JSON, for machines. Seconds and cost are estimates."""

    study: str
    provider: str
    images: tuple[str, ...]
    guessed: tuple[str, ...] = ()  # of the images, those whose size nothing tells
    image_sizes: dict[str, ImageSize] = {}  # of those whose names do not tell it
    repeats: int
    order: str
    seed: int
    cache: str
    node_type: str
    price_per_node_hour: float
    currency: str
    price_as_of: str
    price_parts: str
    makes: tuple[str, ...] = ()
    sizes: tuple[SizePlan, ...]
    jobs: int
    pulls: int
    seconds: float
    cost: float


def ordered(images: tuple[str, ...], run: RunPlan, size: int) -> list[tuple[str, int]]:
    """(image, repeat) in the order in which they run at one size, the same in every process; repeats count from 1."""
    rounds = range(1, run.repeats + 1)
    if run.order is Order.SEQUENTIAL:
        return [(image, repeat) for image in images for repeat in rounds]
    pairs = [(image, repeat) for repeat in rounds for image in images]
    if run.order is Order.RANDOM:
        # Seeding with a text is hashed by sha512, the same everywhere; a tuple would go through hash().
        random.Random(f"{run.seed}/{size}").shuffle(pairs)
    return pairs


def planned_jobs(study: Study) -> list[PlannedJob]:
    """All jobs of a run, in order."""
    triples = [
        (size, image, repeat)
        for size in study.sizes
        for image, repeat in ordered(study.images.references, study.run, size)
    ]
    return [
        PlannedJob(position=position, size=size, image=image, repeat=repeat)
        for position, (size, image, repeat) in enumerate(triples)
    ]


def make_plan(
    study: Study,
    provider: str,
    prefix: str,
    overhead_seconds: float,
    hourly: Callable[[int], HourlyPrice] | None = None,
    overhead: Callable[[int], Overhead] | None = None,
) -> Plan:
    """``prefix`` is the provider's mark on cluster names, ``overhead_seconds`` its time to make and delete one.

    ``hourly`` is what a cluster of a size costs; without it its nodes' ``cluster.price``. ``overhead`` goes over
    ``overhead_seconds`` where sizes differ in it.
    """
    alike = Overhead(make_seconds=overhead_seconds)
    beside = {size: overhead(size) if overhead else alike for size in study.sizes}
    pace = job_pace(study, provider)
    jobs_seconds = {
        size: study.run.repeats * sum(estimated_job_seconds(image, size, pace) for image in study.images.references)
        for size in study.sizes
    }
    jobs = study.run.repeats * len(study.images.references)
    prices = {size: hourly(size) if hourly else nodes_price(study, size) for size in study.sizes}
    price = prices[study.sizes[0]]
    seconds = {size: each.make_seconds + jobs_seconds[size] + each.delete_seconds for size, each in beside.items()}
    sizes = tuple(
        SizePlan(
            size=size,
            cluster=cluster_name(prefix, study, size),
            jobs=jobs,
            pulls=jobs * size,
            seconds=seconds[size],
            overhead=beside[size],
            cost=prices[size].amount * seconds[size] / 3600,
        )
        for size in study.sizes
    )
    return Plan(
        study=study.name,
        provider=provider,
        images=study.images.references,
        guessed=guessed(study.images),
        image_sizes=study.images.sizes,
        repeats=study.run.repeats,
        order=study.run.order,
        seed=study.run.seed,
        cache=study.run.cache,
        node_type=study.cluster.node_type,
        price_per_node_hour=price.node,
        currency=price.currency,
        price_as_of=price.as_of.isoformat(),
        price_parts=price.parts,
        sizes=sizes,
        jobs=sum(size.jobs for size in sizes),
        pulls=sum(size.pulls for size in sizes),
        seconds=sum(size.seconds for size in sizes),
        cost=sum(size.cost for size in sizes),
    )


def cluster_name(prefix: str, study: Study, size: int) -> str:
    return f"{prefix}{study.name}-{size}"
