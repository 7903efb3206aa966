"""Phases: where a job's makespan goes, and which pods, nodes and images are slow."""

from analysis.stragglers import DEVIATIONS, LEAST_PODS, LEAST_SHARE
from dashboards.columns import milestone, pull
from dashboards.flux import Source, marks, program, timed_pulls_of_any_layers
from dashboards.layout import Json, Row, dashboard, heading, pull_variables
from dashboards.panels import (
    COUNT,
    SECONDS,
    SHARE,
    Bars,
    FluxTarget,
    Rows,
    Trend,
    in_order,
    override,
    units,
)
from pulls.milestone import Moment

UID = "pullstudy-phases"
_JOB = f'"{milestone.cluster}", "{milestone.job}"'
_AT = milestone.at


def build(source: Source) -> Json:
    return dashboard(
        UID,
        "pullstudy: phases",
        "Where the time of a job goes, from its creation to its completion, and who is late.",
        _rows(source),
        variables=[*pull_variables(source)],
    )


def _rows(source: Source) -> list[Row]:
    return [
        heading("Where a job's makespan goes"),
        (11, [(14, _critical(source)), (10, _makespans(source))]),
        (10, [(14, _pods(source)), (10, _queue(source))]),
        heading("Who is late"),
        (10, [(24, _stragglers(source))]),
        (10, [(12, _nodes(source)), (12, _images(source))]),
    ]


# -- phases ----------------------------------------------------------------------------------------------------------

# The pod that finished last, of equals the one that started last: its moments and the job's are the critical path.
_LAST = (Moment.FINISHED, Moment.STARTED, Moment.PULLED)
_LATENESS = ", ".join(f'"{moment}"' for moment in _LAST)
_UNKNOWN = ", ".join(f"{moment}: 0" for moment in _LAST)
_SEEN = ", ".join(f'{moment}: if r.moment == "{moment}" then r.{_AT} else accumulator.{moment}' for moment in _LAST)
_CRITICAL = (
    f'critical = marks |> filter(fn: (r) => r.pod != "") |> group(columns: [{_JOB}, "pod"])\n'
    f"  |> reduce(identity: {{{_UNKNOWN}}}, fn: (r, accumulator) => ({{{_SEEN}}}))\n"
    f'  |> group(columns: [{_JOB}]) |> sort(columns: [{_LATENESS}]) |> last(column: "pod")\n'
    f'  |> group() |> keep(columns: [{_JOB}, "pod"]) |> rename(columns: {{pod: "critical"}})'
)
# Between two moments that are known lies one stretch, called by the moment that ends it.
_STRETCHES = (
    f'  |> group(columns: [{_JOB}, "pod_of"]) |> sort(columns: ["rank", "{_AT}"]) |> difference(columns: ["{_AT}"])\n'
    f"  |> map(fn: (r) => ({{r with seconds: float(v: r.{_AT}) / 1000000000.0}}))\n"
)


# A label before the pivot, since ``map`` after one would lose the order of the columns.
_LABEL = '|> map(fn: (r) => ({r with cluster_size: string(v: r.nodes) + " nodes"}))'
_ROW_KEY = '["nodes", "cluster_size"]'


def _by_size(function: str) -> str:
    return (
        f'  |> group(columns: ["nodes", "rank", "moment"]) |> {function} |> group() |> sort(columns: ["rank"])\n'
        '  |> map(fn: (r) => ({r with until: "until " + strings.replaceAll(v: r.moment, t: "_", u: " ")}))\n'
        f'  {_LABEL} |> pivot(rowKey: {_ROW_KEY}, columnKey: ["until"], valueColumn: "seconds")\n'
        '  |> sort(columns: ["nodes"]) |> drop(columns: ["nodes"])'
    )


def _query(source: Source, *statements: str) -> list[FluxTarget]:
    return [FluxTarget(program(marks(source), *statements))]


def _critical(source: Source) -> Bars:
    return Bars(
        title="Where a job's makespan goes, by cluster size",
        description="The mean job's critical path: the pod that finished last, from the job's creation to its completion. "
        "A part is called by the moment that ends it: 'until pulled' is from Pulling to Pulled. What grows to the right "
        "is what makes runs on more nodes longer. Parts below zero are within what times of whole seconds can be off.",
        unit=SECONDS,
        xField="cluster_size",
        axisLabel="seconds of the mean job",
        stacked=True,
        targets=_query(
            source,
            _CRITICAL,
            f"join(tables: {{m: marks |> group(), c: critical}}, on: [{_JOB}])\n"
            '  |> filter(fn: (r) => r.pod == r.critical or r.pod == "")\n'
            "  |> map(fn: (r) => ({r with pod_of: r.critical}))\n" + _STRETCHES + _by_size('mean(column: "seconds")'),
        ),
    )


def _pods(source: Source) -> Bars:
    return Bars(
        title="The median pod's phases, by cluster size",
        description="Each part is the median over all pods, so that they do not add up to a pod. A part is called by the "
        "moment that ends it.",
        unit=SECONDS,
        xField="cluster_size",
        axisLabel="median seconds",
        targets=_query(
            source,
            'marks |> filter(fn: (r) => r.pod != "") |> map(fn: (r) => ({r with pod_of: r.pod}))\n'
            + _STRETCHES
            + _by_size('median(column: "seconds", method: "exact_mean")'),
        ),
    )


def _makespans(source: Source) -> Trend:
    ends = f'"{Moment.JOB_CREATED}"', f'"{Moment.JOB_COMPLETED}"'
    return Trend(
        title="Makespan by cluster size",
        description="From a job's creation to its completion: the shortest, the mean and the longest job.",
        unit=SECONDS,
        xField="nodes",
        axisLabel="makespan",
        overrides=[override("nodes", unit="none", displayName="nodes in the cluster")],
        bands=(("shortest", "longest"),),
        targets=_query(
            source,
            f'spans = marks |> filter(fn: (r) => r.pod == "" and (r.moment == {ends[0]} or r.moment == {ends[1]}))\n'
            f'  |> group(columns: [{_JOB}, "nodes"]) |> sort(columns: ["rank"]) |> difference(columns: ["{_AT}"]) |> group()\n'
            f"  |> map(fn: (r) => ({{r with seconds: float(v: r.{_AT}) / 1000000000.0}}))\n"
            '  |> group(columns: ["nodes"])',
            "named = (tables=<-, name) => tables |> map(fn: (r) => ({nodes: r.nodes, seconds: r.seconds, mark: name}))",
            'union(tables: [spans |> min(column: "seconds") |> named(name: "shortest"),'
            ' spans |> mean(column: "seconds") |> named(name: "mean"),'
            ' spans |> max(column: "seconds") |> named(name: "longest")])\n'
            '  |> group() |> pivot(rowKey: ["nodes"], columnKey: ["mark"], valueColumn: "seconds") |> sort(columns: ["nodes"])',
        ),
    )


def _queue(source: Source) -> Bars:
    waiting = pull.waiting_seconds
    rows = f'told |> filter(fn: (r) => exists r.{waiting}) |> group(columns: ["nodes"])'
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
                    timed_pulls_of_any_layers(source, waiting),
                    f"waits = {rows}",
                    "named = (tables=<-, name) => tables |> map(fn: (r) => ({r with mark: name}))",
                    f'union(tables: [waits |> quantile(column: "{waiting}", q: 0.5, method: "exact_mean") |> named(name: "median"),'
                    f' waits |> quantile(column: "{waiting}", q: 0.95, method: "exact_mean") |> named(name: "p95")])\n'
                    f'  |> group() {_LABEL} |> pivot(rowKey: {_ROW_KEY}, columnKey: ["mark"], valueColumn: "{waiting}")\n'
                    '  |> sort(columns: ["nodes"]) |> drop(columns: ["nodes"])',
                )
            )
        ],
    )


# -- who is late -----------------------------------------------------------------------------------------------------

# Seconds from the job's first moment to each pod's start, beside the median of its job.
_STARTED = (
    f'begun = marks |> group(columns: [{_JOB}]) |> sort(columns: ["rank", "{_AT}"]) |> first(column: "{_AT}")\n'
    f'  |> group() |> keep(columns: [{_JOB}, "{_AT}"]) |> rename(columns: {{{_AT}: "begun"}})\n'
    f'started = join(tables: {{m: marks |> filter(fn: (r) => r.moment == "{Moment.STARTED}") |> group(), b: begun}}, on: [{_JOB}])\n'
    f"  |> map(fn: (r) => ({{cluster: r.{milestone.cluster}, job: r.{milestone.job}, pod: r.pod, node: r.{milestone.node},"
    f" nodes: r.nodes, seconds: float(v: r.{_AT} - r.begun) / 1000000000.0}}))\n"
    f'pods = started |> group(columns: [{_JOB}]) |> count(column: "seconds") |> group() |> rename(columns: {{seconds: "pods"}})\n'
    f'middle = started |> group(columns: [{_JOB}]) |> median(column: "seconds", method: "exact_mean") |> group()\n'
    '  |> rename(columns: {seconds: "median_seconds"})\n'
    f"excess = join(tables: {{s: started, m: join(tables: {{p: pods, m: middle}}, on: [{_JOB}])}}, on: [{_JOB}])\n"
    f"  |> filter(fn: (r) => r.pods >= {LEAST_PODS})\n"
    "  |> map(fn: (r) => ({r with excess_seconds: r.seconds - r.median_seconds,"
    " deviation: math.abs(x: r.seconds - r.median_seconds)}))\n"
    f'spread = excess |> group(columns: [{_JOB}]) |> median(column: "deviation", method: "exact_mean") |> group()\n'
    f'judged = join(tables: {{e: excess |> drop(columns: ["deviation"]), s: spread}}, on: [{_JOB}])\n'
    "  |> map(fn: (r) => ({r with straggled: r.excess_seconds > math.mMax("
    f"x: {DEVIATIONS} * r.deviation, y: {LEAST_SHARE} * r.median_seconds)}}))"
)


def _stragglers(source: Source) -> Rows:
    columns = (
        milestone.cluster,
        "nodes",
        milestone.job,
        "pod",
        milestone.node,
        "seconds",
        "median_seconds",
        "excess_seconds",
    )
    kept = ", ".join(f'"{name}"' for name in columns)
    return Rows(
        title="Stragglers",
        description="Pods that started later than the median pod of their job by three standard deviations (told from "
        "the median deviation) and by a twentieth of the median. Seconds are from the job's creation. "
        "The 200 latest.",
        unit=SECONDS,
        sort="excess_seconds",
        overrides=[override("nodes", unit=COUNT)],
        transformations=[in_order(*columns)],
        targets=_query(
            source,
            _STARTED,
            f"judged |> filter(fn: (r) => r.straggled) |> keep(columns: [{kept}])"
            ' |> sort(columns: ["excess_seconds"], desc: true) |> limit(n: 200)',
        ),
    )


def _nodes(source: Source) -> Rows:
    columns = (milestone.cluster, milestone.node, "pods", "straggled", "median_excess", "worst_excess")
    key = f'"{milestone.cluster}", "{milestone.node}"'
    return Rows(
        title="Slowest nodes",
        description="Over all jobs of a node: how much later than its job's median pod it started, how often it straggled. "
        "The 100 slowest.",
        unit=SECONDS,
        overrides=units(COUNT, ["pods", "straggled"]),
        transformations=[in_order(*columns)],
        targets=_query(
            source,
            _STARTED,
            f"by_node = judged |> group(columns: [{key}])",
            "counted = by_node |> reduce(identity: {pods: 0, straggled: 0, worst_excess: -1000000000.0}, fn: (r, accumulator) => ({\n"
            "  pods: accumulator.pods + 1, straggled: accumulator.straggled + (if r.straggled then 1 else 0),\n"
            "  worst_excess: if r.excess_seconds > accumulator.worst_excess then r.excess_seconds else accumulator.worst_excess}))"
            " |> group()",
            'middles = by_node |> median(column: "excess_seconds", method: "exact_mean") |> group()'
            ' |> rename(columns: {excess_seconds: "median_excess"})',
            f"join(tables: {{c: counted, m: middles}}, on: [{key}])"
            ' |> sort(columns: ["straggled", "median_excess"], desc: true) |> limit(n: 100)',
        ),
    )


def _images(source: Source) -> Rows:
    seconds = pull.pull_seconds
    pulled = timed_pulls_of_any_layers(source)
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
                    f'by_image = told |> group(columns: ["{pull.image}"])',
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
