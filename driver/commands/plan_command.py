"""``pulldriver plan``."""

from collections.abc import Callable, Iterator
from functools import partial

import msgspec

from driver.clusters.provider import Provider
from driver.commands.options import (
    SIMULATED,
    Cache,
    EksMode,
    Json,
    Kubeconfig,
    Model,
    OrderOption,
    ProviderName,
    Repeats,
    Seed,
    Sizes,
    StudyFile,
    check_model,
    provider_of,
)
from driver.planning.plan import DescribesResources, EstimatesOverhead, Plan, make_plan
from driver.planning.price import HourlyPrice, KnowsPrices, nodes_price
from driver.planning.study import Overrides, Price, Study, load_study
from driver.progress import say_image, say_seconds
from pullstudy.pulls.printable import printable


def plan_command(
    study: StudyFile = None,
    sizes: Sizes = None,
    provider: ProviderName = "sim",
    kubeconfig: Kubeconfig = None,
    repeats: Repeats = None,
    order: OrderOption = None,
    seed: Seed = None,
    model: Model = None,
    cache: Cache = None,
    eks_mode: EksMode = None,
    json: Json = False,
) -> None:
    """Show what a sweep would do, how long it would take and what it would cost. Starts nothing.

    Examples:

      pulldriver plan --sizes 4..256

      pulldriver plan --study study.toml --json
    """
    check_model(model, provider)
    overrides = Overrides(
        sizes=sizes, repeats=repeats, seed=seed, model=model, order=order, cache=cache, eks_mode=eks_mode
    )
    plan = plan_of(load_study(study, overrides), provider_of(provider, kubeconfig, eks_mode))
    if json:
        print(msgspec.json.format(msgspec.json.encode(plan)).decode())
    else:
        print("\n".join(map(printable, say_plan(plan))))


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


def plan_of(study: Study, provider: Provider) -> Plan:
    hourly = hourly_price(study, provider)
    overhead = partial(provider.overhead, study) if isinstance(provider, EstimatesOverhead) else None
    plan = make_plan(study, provider.name, provider.prefix, provider.overhead_seconds, hourly, overhead)
    return (
        msgspec.structs.replace(plan, makes=provider.makes(study)) if isinstance(provider, DescribesResources) else plan
    )


def say_plan(plan: Plan) -> Iterator[str]:
    """The plan in lines."""
    yield f"study {plan.study} on {plan.provider}: {plan.jobs} jobs, {plan.pulls:,} pulls"
    yield f"  images   {len(plan.images)}: {', '.join(map(say_image, plan.images[:3]))}{_more(plan)}"
    yield f"  order    {plan.order}, {plan.repeats} of each, caches {plan.cache}, seed {plan.seed}"
    price = f"{plan.price_per_node_hour} {plan.currency} an hour ({plan.price_as_of})"
    yield f"  nodes    {plan.node_type} at {price}"
    if plan.price_parts:
        yield f"  by hour  {plan.price_parts}"
    yield from (f"  makes    {line}" for line in plan.makes)
    if plan.guessed:
        yield f"  guessed  the sizes, and so the times, of {len(plan.guessed)} images, whose names tell no size"
    said_cost = "would cost" if plan.provider in SIMULATED else "cost"
    yield f"  {'cluster':<24}{'nodes':>6}{'jobs':>6}{'pulls':>8}{'about':>12}{said_cost:>14}"
    for size in plan.sizes:
        cost = f"{size.cost:,.2f} {plan.currency}"
        about = say_seconds(size.seconds)
        yield f"  {size.cluster:<24}{size.size:>6}{size.jobs:>6}{size.pulls:>8,}{about:>12}{cost:>14}"
    total = f"{plan.cost:,.2f} {plan.currency}"
    yield f"  {'in all':<24}{'':>6}{plan.jobs:>6}{plan.pulls:>8,}{say_seconds(plan.seconds):>12}{total:>14}"
    if plan.provider == "sim":
        yield "  simulated: time is virtual, and nothing is paid; the figures are those of real nodes"
    if plan.provider == "kwok":
        yield "  simulated nodes: nothing is paid; the cost is that of real nodes for this time"


def _more(plan: Plan) -> str:
    rest = len(plan.images) - 3
    return f" and {rest} more" if rest > 0 else ""
