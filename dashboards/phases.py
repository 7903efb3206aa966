"""Phases: where a job's makespan goes, and which pods, nodes and images are slow."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from dashboards.columns import Columns, job_phases, pod_phases, pull
from dashboards.flux import (
    NODES,
    Bucket,
    phases_of_jobs,
    phases_of_pods,
    program,
    timed_pulls_of_any_layers,
    with_columns,
)
from dashboards.layout import Json, Row, clusters_heading, dashboard, heading, phase_caches, pull_variables
from dashboards.panels import COUNT, SECONDS, SHARE, Bars, FluxTarget, Rows, Trend, coloured, in_order, override, units
from pullstudy.analysis.report.colours import PHASE_COLOURS
from pullstudy.pulls.milestone import Moment

UID = "pullstudy-phases"


def build(bucket: Bucket) -> Json:
    return dashboard(
        UID,
        "pullstudy: phases",
        "Where the time of a job goes, from its creation to its completion, and who is late.",
        _rows(bucket),
        variables=[*pull_variables(bucket), phase_caches(bucket)],
    )


def _rows(bucket: Bucket) -> list[Row]:
    return [
        clusters_heading(),
        heading("Where a job's makespan goes"),
        (11, [(14, _critical(bucket)), (10, _makespans(bucket))]),
        (10, [(14, _pods(bucket)), (10, _queue(bucket))]),
        heading("Who is late"),
        (10, [(24, _stragglers(bucket))]),
        (10, [(12, _nodes(bucket)), (12, _images(bucket))]),
    ]


# -- phases ----------------------------------------------------------------------------------------------------------

# Words before the pivot, since ``map`` after one would lose the order of the columns.
_LABELLED = {"cluster_size": f'string(v: {NODES}) + " nodes"', "nodes": NODES}
_BY_SIZE = '|> sort(columns: ["nodes"]) |> drop(columns: ["nodes"])'
_OF_NO_POD = (Moment.JOB_CREATED, Moment.POD_CREATED, Moment.JOB_COMPLETED)  # a pod's own first has none before it


def _until(columns: Columns, moment: Moment) -> str:
    return str(getattr(columns, f"until_{moment}_seconds"))


def _words(moment: Moment) -> str:
    return f"until {moment.replace('_', ' ')}"


def _as_in_the_report() -> list[dict[str, Any]]:
    """Each part in the report's colour, so that it has one on both panels."""
    colours = {after: PHASE_COLOURS[f"{before}_to_{after}"] for before, after in pairwise(Moment)}
    return [coloured(_words(after), colour) for after, colour in colours.items()]


def _parts(columns: Columns, moments: Iterable[Moment], function: str) -> str:
    """A row a cluster size, a column a moment: the seconds until it from the known moment before, by a function."""
    parts = []
    for place, moment in enumerate(moments):
        seconds = _until(columns, moment)
        known = f'ended |> filter(fn: (r) => exists r.{seconds}) |> group(columns: ["{columns.size}"])'
        reduced = f"{known} |> {function.format(column=seconds)} |> group()"
        words = {"until": f'"{_words(moment)}"', "place": str(place), **_LABELLED}
        parts.append(with_columns(reduced, **words) + f' |> rename(columns: {{{seconds}: "seconds"}})')
    lines = ",\n  ".join(parts)
    return (
        f'union(tables: [{lines}])\n  |> group() |> sort(columns: ["place"])\n'
        f'  |> pivot(rowKey: ["nodes", "cluster_size"], columnKey: ["until"], valueColumn: "seconds")\n  {_BY_SIZE}'
    )


def _critical(bucket: Bucket) -> Bars:
    moments = tuple(Moment)[1:]
    fields = [_until(job_phases, moment) for moment in moments]
    return Bars(
        title="Where a job's makespan goes, by cluster size",
        description="The mean job's critical path: the pod that finished last, from the job's creation to its completion. "
        "A part is called by the moment that ends it: 'until pulled' is from Pulling to Pulled. What grows to the right "
        "is what makes runs on more nodes longer. Parts below zero are within what times of whole seconds can be off.",
        unit=SECONDS,
        xField="cluster_size",
        axisLabel="seconds of the mean job",
        stacked=True,
        overrides=_as_in_the_report(),
        targets=[
            FluxTarget(
                program(
                    phases_of_jobs(bucket, *fields),
                    _parts(job_phases, moments, 'mean(column: "{column}")'),
                )
            )
        ],
    )


def _pods(bucket: Bucket) -> Bars:
    moments = tuple(moment for moment in Moment if moment not in _OF_NO_POD)
    fields = [_until(pod_phases, moment) for moment in moments]
    return Bars(
        title="The median pod's phases, by cluster size",
        description="Each part is the median over all pods, so that they do not add up to a pod. A part is called by the "
        "moment that ends it.",
        unit=SECONDS,
        xField="cluster_size",
        axisLabel="median seconds",
        overrides=_as_in_the_report(),
        targets=[
            FluxTarget(
                program(
                    phases_of_pods(bucket, *fields),
                    _parts(pod_phases, moments, 'median(column: "{column}", method: "exact_mean")'),
                )
            )
        ],
    )


def _makespans(bucket: Bucket) -> Trend:
    seconds = job_phases.makespan_seconds
    marks = {"shortest": "min", "mean": "mean", "longest": "max"}
    parts = ", ".join(
        with_columns(f'spans |> {function}(column: "{seconds}") |> group()', mark=f'"{name}"', nodes=NODES)
        for name, function in marks.items()
    )
    return Trend(
        title="Makespan by cluster size",
        description="From a job's creation to its completion: the shortest, the mean and the longest job.",
        unit=SECONDS,
        xField="nodes",
        axisLabel="makespan",
        overrides=[override("nodes", unit="none", displayName="nodes in the cluster")],
        bands=(("shortest", "longest"),),
        targets=[
            FluxTarget(
                program(
                    phases_of_jobs(bucket, seconds),
                    f'spans = ended |> group(columns: ["{job_phases.size}"])\n'
                    f"union(tables: [{parts}])\n"
                    f'  |> group() |> pivot(rowKey: ["nodes"], columnKey: ["mark"], valueColumn: "{seconds}")'
                    ' |> sort(columns: ["nodes"])',
                )
            )
        ],
    )


def _queue(bucket: Bucket) -> Bars:
    waiting = pull.waiting_seconds
    parts = ", ".join(
        with_columns(
            f'waits |> quantile(column: "{waiting}", q: {probability}, method: "exact_mean") |> group()',
            mark=f'"{name}"',
            **_LABELLED,
        )
        for name, probability in (("median", 0.5), ("p95", 0.95))
    )
    return Bars(
        title="Waiting in the kubelet's queue",
        description="What the kubelet's message adds as 'including waiting': the pull stood behind others on its node, "
        "or behind the limit of parallel pulls. The median and the 95th percentile.",
        unit=SECONDS,
        xField="cluster_size",
        axisLabel="waiting",
        targets=[
            FluxTarget(
                program(
                    timed_pulls_of_any_layers(bucket, waiting),
                    f'waits = records |> filter(fn: (r) => exists r.{waiting}) |> group(columns: ["{pull.size}"])\n'
                    f"union(tables: [{parts}])\n  |> group()"
                    f' |> pivot(rowKey: ["nodes", "cluster_size"], columnKey: ["mark"], valueColumn: "{waiting}")\n  {_BY_SIZE}',
                )
            )
        ],
    )


# -- who is late -----------------------------------------------------------------------------------------------------


def _stragglers(bucket: Bucket) -> Rows:
    straggled = pod_phases.straggled
    seconds = (pod_phases.started_seconds, pod_phases.median_seconds, pod_phases.excess_seconds)
    columns = (pod_phases.cluster, "nodes", pod_phases.job, pod_phases.pod, pod_phases.node, *seconds)
    kept = ", ".join(f'"{name}"' for name in columns)
    late = f"late = ended |> filter(fn: (r) => exists r.{straggled} and r.{straggled} == 1)"
    return Rows(
        title="Stragglers",
        description="Pods that took longer than the scatter of their job's pods explains, each from its own Pulling to its "
        "start, by a limit that one job in a hundred passes by chance. The 200 slowest.",
        unit=SECONDS,
        sort=pod_phases.excess_seconds,
        overrides=[override("nodes", unit=COUNT)],
        transformations=[in_order(*columns)],
        targets=[
            FluxTarget(
                program(
                    phases_of_pods(bucket, pod_phases.job, pod_phases.pod, straggled, *seconds),
                    late,
                    with_columns("late", nodes=NODES) + f" |> keep(columns: [{kept}])"
                    f' |> sort(columns: ["{pod_phases.excess_seconds}"], desc: true) |> limit(n: 200)',
                )
            )
        ],
    )


def _nodes(bucket: Bucket) -> Rows:
    excess, straggled = pod_phases.excess_seconds, pod_phases.straggled
    columns = (pod_phases.cluster, pod_phases.node, "pods", straggled, "median_excess", "worst_excess")
    key = f'"{pod_phases.cluster}", "{pod_phases.node}"'

    def figure(name: str, function: str, column: str = excess) -> str:
        kept = f'|> group() |> keep(columns: [{key}, "{column}"]) |> rename(columns: {{{column}: "{name}"}})'
        return f"{name} = by_node |> {function} {kept}"

    return Rows(
        title="Slowest nodes",
        description="Over all jobs of a node: how much longer than its job's median pod it took, how often it straggled. "
        "The 100 slowest.",
        unit=SECONDS,
        overrides=units(COUNT, ["pods", straggled]),
        transformations=[in_order(*columns)],
        targets=[
            FluxTarget(
                program(
                    phases_of_pods(bucket, excess, straggled),
                    f"by_node = ended |> filter(fn: (r) => exists r.{excess}) |> group(columns: [{key}])",
                    figure("median_excess", f'median(column: "{excess}", method: "exact_mean")'),
                    figure("worst_excess", f'max(column: "{excess}")'),
                    figure("pods", f'count(column: "{excess}")'),
                    figure(straggled, f'sum(column: "{straggled}")', straggled),
                    f"counted = join(tables: {{p: pods, l: {straggled}}}, on: [{key}])\n"
                    f"excess = join(tables: {{m: median_excess, w: worst_excess}}, on: [{key}])\n"
                    f"join(tables: {{c: counted, e: excess}}, on: [{key}])"
                    f' |> sort(columns: ["{straggled}", "median_excess"], desc: true) |> limit(n: 100)',
                )
            )
        ],
    )


def _images(bucket: Bucket) -> Rows:
    seconds = pull.pull_seconds
    pulled = timed_pulls_of_any_layers(bucket, pull.image)
    return Rows(
        title="Slowest images",
        description="By the median pull, and how far the slowest of an image is from it. The 100 slowest.",
        unit=SECONDS,
        overrides=[
            override("pulls", unit=COUNT),
            override("spread", unit=SHARE),
            override(pull.image, **{"custom.width": 420}),
        ],
        transformations=[in_order(pull.image, "pulls", "median", "slowest", "spread")],
        targets=[
            FluxTarget(
                program(
                    pulled,
                    f'by_image = records |> group(columns: ["{pull.image}"])',
                    f'counted = by_image |> count(column: "{seconds}") |> group() |> rename(columns: {{{seconds}: "pulls"}})',
                    f'middles = by_image |> median(column: "{seconds}", method: "exact_mean") |> group()'
                    f' |> rename(columns: {{{seconds}: "median"}})',
                    f'longest = by_image |> quantile(column: "{seconds}", q: 1.0, method: "exact_mean") |> group()'
                    f' |> rename(columns: {{{seconds}: "slowest"}})',
                    f'join(tables: {{c: counted, m: join(tables: {{m: middles, l: longest}}, on: ["{pull.image}"])}}, on: ["{pull.image}"])\n'
                    "  |> map(fn: (r) => ({r with spread: if r.median > 0.0 then r.slowest / r.median - 1.0 else 0.0}))\n"
                    '  |> sort(columns: ["median"], desc: true) |> limit(n: 100)',
                )
            )
        ],
    )
