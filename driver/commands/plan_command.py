"""``pulldriver plan``."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from driver.clusters.provider import Provider
from driver.commands.going_on import AskedStudy, study_going_on
from driver.commands.options import (
    SIMULATED,
    AskRegistry,
    Cache,
    EksMode,
    Json,
    Kubeconfig,
    Manifests,
    Model,
    OrderOption,
    ProviderName,
    Repeats,
    Seed,
    SimProfile,
    Sizes,
    StudyFile,
    provider_of,
)
from driver.commands.provider_plan import check_study, plan_of, with_image_sizes
from driver.errors import UsageError
from driver.planning.budget import rest_of
from driver.planning.job_estimate import BETWEEN_JOBS_SECONDS
from driver.planning.plan import Plan
from driver.planning.study import Overrides
from driver.progress import say_image, say_seconds
from pullstudy.pulls.image_size import USUAL_COMPRESSION, SizeSource
from pullstudy.pulls.printable import printable
from pullstudy.store.embedded.ledger import Ledger


def plan_command(
    study: StudyFile = None,
    sizes: Sizes = None,
    provider: ProviderName = "sim",
    kubeconfig: Kubeconfig = None,
    repeats: Repeats = None,
    order: OrderOption = None,
    seed: Seed = None,
    profile: SimProfile = None,
    model: Model = None,
    cache: Cache = None,
    eks_mode: EksMode = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Only what is left of the sweep that DIR holds.")
    ] = None,
    extend: Annotated[
        bool, typer.Option("--extend", help="With --out: and of the sizes and images that are given here.")
    ] = False,
    manifests: Manifests = None,
    ask_registry: AskRegistry = False,
    json: Json = False,
) -> None:
    """Show what a sweep would do, how long it would take and what it would cost. Starts nothing.

    Examples:

      pulldriver plan --sizes 4..256

      pulldriver plan --study study.toml --json

      pulldriver plan --study study.toml --ask-registry

      pulldriver plan --out pulling-study --extend --sizes 512
    """
    overrides = Overrides(
        sizes=sizes, repeats=repeats, seed=seed, profile=profile, model=model, order=order, cache=cache,
        eks_mode=eks_mode, manifests=tuple(manifests) if manifests else None,
    )  # fmt: skip
    asked = AskedStudy(file=study, overrides=overrides, ask_registry=ask_registry)
    plan = _plan(asked, provider_of(provider, kubeconfig, eks_mode), out, extend=extend)
    if json:
        print(msgspec.json.format(msgspec.json.encode(plan)).decode())
    else:
        print("\n".join(map(printable, say_plan(plan))))


def _plan(asked: AskedStudy, provider: Provider, out: Path | None, *, extend: bool) -> Plan:
    if out is None:
        if extend:
            raise UsageError("--extend: of which sweep? give its --out DIR")
        study = asked.load()
        check_study(study, provider)
        return plan_of(with_image_sizes(study, provider, ask_registry=asked.ask_registry), provider)
    with closing(Ledger(out, create=False)) as ledger:
        run = ledger.swept_run()
        if run is None:
            raise UsageError(f"{out} holds no sweep, only what was imported: leave --out out")
        study = study_going_on(run, asked, provider, extend=extend)
        return rest_of(plan_of(study, provider), study, ledger.jobs(run.run))


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
    yield from _say_image_sizes(plan)
    said_cost = "would cost" if plan.provider in SIMULATED else "cost"
    yield f"  {'cluster':<24}{'nodes':>6}{'jobs':>6}{'pulls':>8}{'about':>12}{said_cost:>14}"
    for size in plan.sizes:
        cost = f"{size.cost:,.2f} {plan.currency}"
        about = say_seconds(size.seconds)
        yield f"  {size.cluster:<24}{size.size:>6}{size.jobs:>6}{size.pulls:>8,}{about:>12}{cost:>14}"
    total = f"{plan.cost:,.2f} {plan.currency}"
    yield f"  {'in all':<24}{'':>6}{plan.jobs:>6}{plan.pulls:>8,}{say_seconds(plan.seconds):>12}{total:>14}"
    if plan.provider == "sim":
        more = f"real nodes take some {BETWEEN_JOBS_SECONDS:.0f} s more a job"
        yield f"  simulated: time is virtual, and nothing is paid; {more}"
    if plan.provider == "kwok":
        yield "  simulated nodes: nothing is paid; the cost is that of real nodes for this time"


def _say_image_sizes(plan: Plan) -> Iterator[str]:
    """Who tells them, where the images' names do not."""
    told = [size for size in plan.image_sizes.values() if size.source is not SizeSource.GUESSED]
    if told:
        sources = Counter(size.source.value for size in told).items()
        estimated = sum(size.unpacked_bytes is None for size in told)
        unpacked = f"; of {estimated} taken as {1 / USUAL_COMPRESSION:.1f} times as many unpacked" if estimated else ""
        yield f"  bytes    of {', '.join(f'{count} images from {source}' for source, count in sources)}{unpacked}"
    if plan.guessed:
        named = f"{', '.join(map(say_image, plan.guessed[:3]))}{' ...' if len(plan.guessed) > 3 else ''}"
        count = f"{len(plan.guessed)} of {len(plan.images)} images"
        yield f"  guessed  the sizes, and so the times, of {count}, whose names tell no size: {named}"
        yield "           state them in [images.sizes] of study.toml, or give --manifests or --ask-registry"


def _more(plan: Plan) -> str:
    rest = len(plan.images) - 3
    return f" and {rest} more" if rest > 0 else ""
