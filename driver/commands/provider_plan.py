"""The plan of a study on a provider, by what that one knows of prices and times."""

import asyncio
import os
from collections.abc import Callable
from functools import partial

import msgspec

from driver.clusters.provider import ChecksPlace, ChecksStudies, Provider
from driver.commands.options import SIMULATED
from driver.planning.image_sizes import untold, with_guesses, with_sizes
from driver.planning.plan import DescribesResources, EstimatesOverhead, Plan, make_plan
from driver.planning.price import HourlyPrice, KnowsPrices, nodes_price
from driver.planning.study import Price, Study


def check_study(study: Study, provider: Provider) -> None:
    """Raises UsageError, ProviderError where its clusters cannot be what the study wants."""
    if isinstance(provider, ChecksStudies):
        provider.check_study(study)


def check_place(study: Study, provider: Provider) -> None:
    """Raises UsageError, ProviderError where this machine or the cluster that is given is not fit for it."""
    if isinstance(provider, ChecksPlace):
        provider.check_place(study)


def hourly_price(study: Study, provider: Provider) -> Callable[[int], HourlyPrice]:
    """What a cluster of a size costs there."""
    return partial(provider.price if isinstance(provider, KnowsPrices) else nodes_price, study)


def with_price(study: Study, provider: Provider) -> Study:
    """The study with what a node costs there, as it is kept with a run: reports count by it."""
    if not isinstance(provider, KnowsPrices):
        return study
    found = provider.price(study, study.sizes[0])
    price = Price(per_node_hour=found.node, currency=found.currency, as_of=found.as_of)
    return msgspec.structs.replace(study, cluster=msgspec.structs.replace(study.cluster, price=price))


def with_image_sizes(study: Study, provider: Provider, *, ask_registry: bool) -> Study:
    """As it is run there: where images are simulated each has a size, guessed if nothing tells it.

    Registries are asked for those that nothing else tells. Raises RegistryError, UsageError.
    """
    if ask_registry:
        from driver.registries.registry import sizes_from_registries

        study = with_sizes(study, asyncio.run(sizes_from_registries(untold(study.images), os.environ)))
    return with_guesses(study) if provider.name in SIMULATED else study


def plan_of(study: Study, provider: Provider) -> Plan:
    hourly = hourly_price(study, provider)
    overhead = partial(provider.overhead, study) if isinstance(provider, EstimatesOverhead) else None
    plan = make_plan(study, provider.name, provider.prefix, provider.overhead_seconds, hourly, overhead)
    return (
        msgspec.structs.replace(plan, makes=provider.makes(study)) if isinstance(provider, DescribesResources) else plan
    )
