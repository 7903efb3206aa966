"""``pulldriver sweep``."""

import asyncio
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Annotated

import msgspec
import typer

from driver.clusters.cluster_record import cost_so_far
from driver.clusters.provider import Provider
from driver.commands.directory_lock import directory_lock
from driver.commands.going_on import AskedStudy, study_going_on
from driver.commands.interrupt import InterruptedByUserError, interruptible
from driver.commands.options import (
    DEFAULT_OUT,
    SIMULATED,
    AskRegistry,
    Cache,
    EksMode,
    Influx,
    Kafka,
    Kubeconfig,
    Manifests,
    Model,
    Note,
    OrderOption,
    Out,
    ProviderName,
    Repeats,
    Seed,
    SimProfile,
    Sizes,
    StagesOption,
    StudyFile,
    check_note,
    check_stages,
    provider_of,
)
from driver.commands.plan_command import say_plan
from driver.commands.provider_plan import check_place, check_study, hourly_price, plan_of, with_image_sizes, with_price
from driver.commands.summary import model_lines, pull_seconds, size_lines
from driver.course import Course
from driver.display import make_progress, ticking
from driver.errors import SweepError, UnaskedError
from driver.planning.budget import Budget, rest_of
from driver.planning.plan import Plan
from driver.planning.study import Overrides, Study
from driver.planning.time_left import time_left
from driver.recording.destinations import (
    AskedDestination,
    check_reachable,
    check_same_destination,
    destination_of_new_run,
)
from driver.recording.stores import Stores, open_stores
from driver.sweep import Sweep, SweepResult, begun_run, wall_clock
from driver.terminal import StatusArea, write_text
from pullstudy.kube.errors import KubeError
from pullstudy.pulls.printable import printable
from pullstudy.store.embedded.ledger import Ledger
from pullstudy.store.embedded.store import upgrade_to_come
from pullstudy.store.protocol import StoreError


def sweep_command(
    sizes: Sizes = None,
    study: StudyFile = None,
    provider: ProviderName = "sim",
    kubeconfig: Kubeconfig = None,
    kafka: Kafka = None,
    influx: Influx = None,
    out: Out = DEFAULT_OUT,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the sweep that DIR holds; begin one if none.")
    ] = False,
    extend: Annotated[
        bool,
        typer.Option(
            "--extend", help="Go on with the sweep that DIR holds, and add the sizes and images that are given here."
        ),
    ] = False,
    budget: Annotated[
        float | None,
        typer.Option("--budget", metavar="AMOUNT", min=0, help="End before it costs more, in the plan's currency."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before clusters that cost money.")] = False,
    note: Note = None,
    repeats: Repeats = None,
    order: OrderOption = None,
    seed: Seed = None,
    profile: SimProfile = None,
    model: Model = None,
    stages: StagesOption = None,
    cache: Cache = None,
    eks_mode: EksMode = None,
    manifests: Manifests = None,
    ask_registry: AskRegistry = False,
) -> None:
    """Run a study: for each size a cluster, for each image a job on every node, every pull accounted for.

    The clusters are taken down at the end, after a failure, Ctrl-C, SIGTERM and SIGHUP (a closed terminal; not under
    nohup). What was done is kept in DIR: --resume goes on with it, --extend adds sizes and images to it.

    Examples:

      pulldriver sweep --sizes 4..256

      pulldriver sweep --study study.toml --out second --order random --seed 7

      pulldriver sweep --model slow-disk.json --seed 2 --out slow-disk

      pulldriver sweep --kafka broker:9092 --influx http://influx:8086 --out third

      pulldriver sweep --out third --resume

      pulldriver sweep --out second --extend --sizes 512 --note 'Ada, for the capacity review'
    """
    check_stages(stages, provider)
    check_note(note)
    overrides = Overrides(
        sizes=sizes, repeats=repeats, seed=seed, profile=profile, model=model, stages=stages, order=order, cache=cache,
        eks_mode=eks_mode, manifests=tuple(manifests) if manifests else None,
    )  # fmt: skip
    asked = AskedStudy(file=study, overrides=overrides, ask_registry=ask_registry)
    where = AskedDestination(kafka=kafka, influx=influx)
    cluster_provider = provider_of(provider, kubeconfig, eks_mode)
    new = None if resume or extend else _new_study(asked, where, cluster_provider)
    if new is not None and budget is not None:
        Budget(amount=budget, plan=plan_of(new, cluster_provider)).check()
    resume_command = _command_to_resume(out, provider, kubeconfig, budget, yes=yes)
    with directory_lock(out), closing(_ledger(out)) as ledger:
        found = _study(ledger, out, asked, new, where, cluster_provider, resume=resume, extend=extend)
        code = _sweep(found, ledger, cluster_provider, out, budget, note, yes=yes, resume_command=resume_command)
    if code:
        raise typer.Exit(code)


def _ledger(out: Path) -> Ledger:
    """Says so where that makes a study of an earlier layout one of this."""
    if line := upgrade_to_come(out):
        _say(line)
    return Ledger(out, create=True)


def _new_study(asked: AskedStudy, where: AskedDestination, provider: Provider) -> Study:
    """With its destination, and all of it found to be possible before anything is made. Raises UsageError."""
    study = with_image_sizes(asked.load(), provider, ask_registry=asked.ask_registry)
    destination = destination_of_new_run(where, study.collect, os.environ)
    asyncio.run(check_reachable(destination, os.environ))
    study = msgspec.structs.replace(study, collect=destination)
    check_study(study, provider)
    check_place(study, provider)
    return with_price(study, provider)


def _sweep(
    study: Study,
    ledger: Ledger,
    provider: Provider,
    out: Path,
    budget: float | None,
    note: str | None,
    *,
    yes: bool,
    resume_command: str,
) -> int:
    plan = plan_of(study, provider)
    run = ledger.swept_run()
    rest = plan if run is None else rest_of(plan, study, ledger.jobs(run.run))
    if run is not None and rest.sizes:
        # The nodes of a size that is done may have gone.
        left = msgspec.structs.replace(study.cluster, sizes=tuple(size.size for size in rest.sizes))
        check_place(msgspec.structs.replace(study, cluster=left), provider)
    _say(*say_plan(rest))
    if study.collect.shared:
        _say(f"  records  in {study.collect}")
    limit = None if budget is None else _budget(budget, plan, study, provider, ledger)
    _confirm(provider, yes=yes)
    area = StatusArea(sys.stdout)
    stores = open_stores(study, out, os.environ, lambda line: area.say(printable(line)))
    sweep = Sweep(
        study, provider, out, ledger, stores.records, budget=limit, note=note, publish_phases=stores.publish_phases
    )
    with _resume_command(resume_command):
        outcome, lines = _run(sweep, study, rest, provider, ledger, stores, area)
    _say(*lines)
    return _report(outcome, out)


def _command_to_resume(out: Path, provider: str, kubeconfig: Path | None, budget: float | None, *, yes: bool) -> str:
    """The command that goes on; the study and its destination are in the directory."""
    words = ["pulldriver", "sweep"]
    words += ["--provider", provider] if provider != "sim" else []
    words += ["--kubeconfig", str(kubeconfig)] if kubeconfig else []
    words += ["--out", str(out), "--resume"]
    words += ["--budget", f"{budget:g}"] if budget is not None else []
    return shlex.join([*words, "--yes"] if yes else words)


@contextmanager
def _resume_command(command: str) -> Iterator[None]:
    try:
        yield
    except (SweepError, KubeError, StoreError, InterruptedByUserError):
        _say(f"what was done is kept; go on with: {command}")
        raise


def _budget(amount: float, plan: Plan, study: Study, provider: Provider, ledger: Ledger) -> Budget:
    """What the sweep may still cost. Raises UsageError where that is less than it will."""
    run = ledger.swept_run()
    clusters, jobs = (ledger.clusters(run.run), ledger.jobs(run.run)) if run else ([], [])
    paid = cost_so_far(clusters, hourly_price(study, provider), wall_clock())
    budget = Budget(amount=amount, plan=rest_of(plan, study, jobs), spent=paid)
    budget.check()
    return budget


def _study(
    ledger: Ledger,
    out: Path,
    asked: AskedStudy,
    new: Study | None,
    where: AskedDestination,
    provider: Provider,
    *,
    resume: bool,
    extend: bool,
) -> Study:
    run = begun_run(ledger, out, resume=resume or extend)
    if run is None:
        return new or _new_study(asked, where, provider)
    study = study_going_on(run, asked, provider, extend=extend)
    check_same_destination(where, asked.collect, study.collect, os.environ)
    asyncio.run(check_reachable(study.collect, os.environ))
    return study


def _run(
    sweep: Sweep, study: Study, rest: Plan, provider: Provider, ledger: Ledger, stores: Stores, area: StatusArea
) -> tuple[SweepResult, list[str]]:
    """What it came to, each size in a line, and how far the model was off. ``rest`` is the plan of what is left."""
    left = sweep.remaining()
    if left.done:
        _say(f"resumed: {left.done} jobs are done, {len(left.jobs)} are left")
    course = Course(
        clock=monotonic,
        jobs=left.done + len(left.jobs),
        done=left.done,
        left=time_left(study, rest, left.jobs),
        cost=partial(_say_cost, ledger, study, provider, rest) if _is_paid(rest) else None,
    )
    progress = make_progress(area, sys.stdout, course, monotonic, os.environ)

    async def work() -> tuple[SweepResult, list[str]]:
        try:
            async with ticking(progress):
                outcome = await sweep.run(progress)
                pulled = pull_seconds(stores.whole, sweep.name)
                return outcome, [
                    *size_lines(ledger, pulled, sweep.name),
                    *model_lines(ledger, pulled, sweep.name),
                ]
        finally:
            await provider.close()
            await stores.whole.close()

    try:
        return asyncio.run(interruptible(work(), progress.note))
    finally:
        progress.close()


def _is_paid(plan: Plan) -> bool:
    return plan.provider not in SIMULATED and plan.cost > 0


def _say_cost(ledger: Ledger, study: Study, provider: Provider, plan: Plan) -> str:
    """By the clusters' times in the ledger until now."""
    run = ledger.swept_run()
    paid = cost_so_far(ledger.clusters(run.run), hourly_price(study, provider), wall_clock()) if run else 0.0
    return f"{paid:,.2f} {plan.currency}"


def _confirm(provider: Provider, *, yes: bool) -> None:
    if not provider.billed or yes:
        return
    if not sys.stdin.isatty():
        raise UnaskedError("these clusters cost money, and nobody can be asked here")
    typer.confirm("Make these clusters?", abort=True)


def _report(outcome: SweepResult, out: Path) -> int:
    _say(outcome.accounted)
    for row in outcome.failed:
        write_text(sys.stderr, printable(f"failed: {row.cluster} {row.job}: {row.error}") + "\n")
    _say(f"next: pulldriver report --out {shlex.quote(str(out))}")
    if outcome.failed:
        write_text(sys.stderr, f"pulldriver: {len(outcome.failed)} jobs failed; try them again with --resume\n")
        return 1
    return 0


def _say(*lines: str) -> None:
    """To standard output."""
    write_text(sys.stdout, "".join(f"{printable(line)}\n" for line in lines))
