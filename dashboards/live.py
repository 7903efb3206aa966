"""Live: a sweep while it runs."""

from collections.abc import Iterable

from dashboards.columns import milestone, pull
from dashboards.flux import (
    NODE,
    NODES,
    PIVOT,
    PLACE,
    SHOWN_TIMES,
    Bucket,
    abandoned_jobs,
    chosen,
    not_abandoned,
    one_of,
    program,
    pulls,
    timed_pulls_of_any_layers,
    with_columns,
)
from dashboards.layout import Json, Row, clusters_heading, dashboard, pull_caches, pull_variables
from dashboards.panels import COUNT, SECONDS, Figures, FluxTarget, Lines, Rows, in_order, override, units
from pullstudy.pulls.milestone import Moment
from pullstudy.store.influx.flux import literal

UID = "pullstudy-live"
_LATEST = 50


def build(bucket: Bucket) -> Json:
    return dashboard(
        UID,
        "pullstudy: live",
        "A sweep in progress: what is being pulled now, what was pulled last, and how far each job is.",
        _rows(bucket),
        variables=[*pull_variables(bucket), pull_caches(bucket)],
        since="now-30m",
        until="now",
        refresh="10s",
    )


def _rows(bucket: Bucket) -> list[Row]:
    return [
        clusters_heading(),
        (4, _figures(bucket)),
        (9, [(12, _finished(bucket)), (12, _durations(bucket))]),
        (10, [(14, _jobs(bucket)), (10, _moments(bucket))]),
        (11, [(24, _latest(bucket))]),
    ]


def _milestones(bucket: Bucket, moments: Iterable[Moment], *fields: str) -> str:
    """Points of milestones of these moments: all of these fields have to be text, so that they can be read as one table."""
    of_moments = " or ".join(f"r.{milestone.tag_name('moment')} == {literal(moment)}" for moment in moments)
    of_place = chosen(*(milestone.tag_name(name) for name in PLACE))
    return bucket.rows(
        SHOWN_TIMES,
        f"{milestone.of_measurement()} and {of_place} and ({of_moments}) and {milestone.of_fields(*fields)}",
    )


_AFTER_PULLING = (Moment.PULLED, Moment.STARTED, Moment.FINISHED)


def _pulling(bucket: Bucket) -> str:
    """Pods that said Pulling and nothing after it. A pod's name begins with its job's."""
    after = " or ".join(f"exists r.{moment}" for moment in _AFTER_PULLING)
    # As one expression: the function of ``filter`` cannot hold another function.
    names = "array.map(arr: abandoned, fn: (x) => regexp.quoteMeta(v: x))"
    of_abandoned = f'of_abandoned = regexp.compile(v: "^(?:" + strings.joinStr(arr: {names}, v: "|") + ")-")'
    milestones = _milestones(bucket, (Moment.PULLING, *_AFTER_PULLING), milestone.pod, milestone.node)
    return program(
        abandoned_jobs(bucket),
        of_abandoned,
        f"{milestones}\n  {PIVOT} |> filter(fn: (r) => exists r.{milestone.pod} and {one_of(milestone.node, NODE)})",
        f'  |> pivot(rowKey: ["{milestone.cluster}", "{milestone.pod}"], columnKey: ["{milestone.moment}"],'
        ' valueColumn: "_time")',
        f"  |> filter(fn: (r) => exists r.{Moment.PULLING} and not ({after}))",
        f'  |> filter(fn: (r) => r.{milestone.cluster} + "/" + r.{milestone.pod} !~ of_abandoned)',
        f'  |> count(column: "{milestone.pod}") |> keep(columns: ["{milestone.pod}"])',
        f'  |> rename(columns: {{{milestone.pod}: "_value"}})',
    )


def _completed(bucket: Bucket) -> str:
    """One completion is reported by several sources."""
    milestones = _milestones(bucket, (Moment.JOB_COMPLETED,), milestone.job)
    rows = f"{milestones}\n  |> group() |> filter(fn: (r) => {not_abandoned('_value')})"
    key = with_columns(rows, key=f'r.{milestone.cluster} + "/" + r._value')
    return program(
        abandoned_jobs(bucket), f'{key}\n  |> distinct(column: "key") |> count() |> keep(columns: ["_value"])'
    )


def _figures(bucket: Bucket) -> list[tuple[int, Figures]]:
    seconds = pull.pull_seconds
    timed = timed_pulls_of_any_layers(bucket)
    figures = [
        (
            "Pulled",
            COUNT,
            program(timed, f'records |> count(column: "{seconds}") |> keep(columns: ["{seconds}"])'),
            "Pulls done",
        ),
        ("Pulling now", COUNT, _pulling(bucket), "Pods that said Pulling and nothing after it"),
        ("Jobs completed", COUNT, _completed(bucket), "Jobs that completed"),
        (
            "Median of the last 50",
            SECONDS,
            program(
                timed,
                f'records |> sort(columns: ["_time"], desc: true) |> limit(n: {_LATEST})'
                f' |> median(column: "{seconds}", method: "exact_mean") |> keep(columns: ["{seconds}"])',
            ),
            "The median of the 50 latest pulls' durations",
        ),
    ]
    return [
        (
            6,
            Figures(
                title=title,
                unit=unit,
                noValue="0",
                targets=[FluxTarget(text)],
                description=f"{words}, in the time shown.",
            ),
        )
        for title, unit, text, words in figures
    ]


def _finished(bucket: Bucket) -> Lines:
    return Lines(
        title="Pulls by outcome",
        description="How many ended in each interval.",
        unit=COUNT,
        bars=True,
        stacked=True,
        axisLabel="pulls",
        displayName="${__field.labels.outcome}",
        targets=[
            FluxTarget(
                program(
                    pulls(bucket),
                    f'records |> group(columns: ["{pull.outcome}"])',
                    f'  |> aggregateWindow(every: v.windowPeriod, fn: count, column: "{pull.event_uid}", createEmpty: false)',
                    f'  |> keep(columns: ["_time", "{pull.outcome}", "{pull.event_uid}"])',
                )
            )
        ],
    )


def _durations(bucket: Bucket) -> Lines:
    seconds = pull.pull_seconds

    def line(name: str, probability: float) -> str:
        return (
            "records |> aggregateWindow(every: v.windowPeriod, fn: (tables=<-, column) => tables"
            f' |> quantile(q: {probability}, column: column, method: "exact_mean"), column: "{seconds}", createEmpty: false)\n'
            f'  |> map(fn: (r) => ({{_time: r._time, mark: "{name}", {seconds}: r.{seconds}}})) |> group(columns: ["mark"])'
        )

    return Lines(
        title="Pull duration",
        description="The median and the 95th percentile of the pulls that ended in each interval.",
        unit=SECONDS,
        axisLabel="pull duration",
        displayName="${__field.labels.mark}",
        targets=[
            FluxTarget(
                program(
                    timed_pulls_of_any_layers(bucket),
                    f"union(tables: [{line('median', 0.5)},\n {line('p95', 0.95)}])",
                )
            )
        ],
    )


def _jobs(bucket: Bucket) -> Rows:
    cluster, size, job, pod = milestone.cluster, milestone.size, milestone.job, milestone.pod
    of_job = f'"{cluster}", "{job}"'
    counted = (Moment.SCHEDULED, Moment.PULLING, Moment.PULLED, Moment.STARTED, Moment.FINISHED)
    identity = ", ".join(f"{moment}: 0" for moment in (*counted, "completed"))
    sums = ", ".join(
        f"{name}: accumulator.{name} + (if exists r.{moment} then 1 else 0)"
        for name, moment in (*((str(each), each) for each in counted), ("completed", Moment.JOB_COMPLETED))
    )
    milestones = _milestones(bucket, (Moment.JOB_CREATED, *counted, Moment.JOB_COMPLETED), job, pod)
    table = '|> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value") |> group()'
    columns = (cluster, job, "nodes", *counted, "completed", "last")
    return Rows(
        title="Jobs",
        description="How many pods of each job have come to each moment, of as many as the cluster has nodes; the 50 latest "
        "jobs.",
        unit=COUNT,
        overrides=[override("last", unit="dateTimeAsLocal")],
        transformations=[in_order(*columns)],
        targets=[
            FluxTarget(
                program(
                    abandoned_jobs(bucket),
                    f'milestones = {milestones}\n  |> group(columns: ["{cluster}", "{size}", "{milestone.moment}"]) {table}',
                    f"  |> filter(fn: (r) => exists r.{job} and {not_abandoned(job)})",
                    f'lasts = milestones |> group(columns: [{of_job}]) |> max(column: "_time") |> group()'
                    f' |> keep(columns: [{of_job}, "_time"]) |> rename(columns: {{_time: "last"}})',
                    # One row a pod, and one of no pod for the moments of the job itself.
                    f'pods = milestones |> pivot(rowKey: [{of_job}, "{size}", "{pod}"], columnKey: ["{milestone.moment}"],'
                    ' valueColumn: "_time")',
                    f'counted = pods |> group(columns: [{of_job}, "{size}"])',
                    f"  |> reduce(identity: {{{identity}}}, fn: (r, accumulator) => ({{{sums}}})) |> group()",
                    with_columns(f"join(tables: {{c: counted, l: lasts}}, on: [{of_job}])", nodes=NODES),
                    f'  |> drop(columns: ["{size}"]) |> sort(columns: ["last"], desc: true) |> limit(n: {_LATEST})',
                )
            )
        ],
    )


def _moments(bucket: Bucket) -> Lines:
    moment = milestone.tag_name("moment")
    of_place = chosen(*(milestone.tag_name(name) for name in PLACE))
    rows = bucket.rows(
        SHOWN_TIMES, f"{milestone.of_measurement()} and {of_place} and {milestone.of_fields(milestone.at)}"
    )
    return Lines(
        title="Moments",
        description="What was reported in each interval of pods and jobs, by every source, abandoned attempts included.",
        unit=COUNT,
        bars=True,
        stacked=True,
        axisLabel="milestones",
        displayName=f"${{__field.labels.{moment}}}",
        targets=[
            FluxTarget(
                f'{rows}\n  |> group(columns: ["{moment}"])'
                " |> aggregateWindow(every: v.windowPeriod, fn: count, createEmpty: false)\n"
                f'  |> keep(columns: ["_time", "_value", "{moment}"])'
            )
        ],
    )


def _latest(bucket: Bucket) -> Rows:
    columns = ("_time", pull.cluster, pull.node, pull.image, pull.outcome, pull.pull_seconds, pull.waiting_seconds)
    kept = ", ".join(f'"{name}"' for name in columns)
    return Rows(
        title="Latest pulls",
        description=f"The {_LATEST} that ended last.",
        overrides=[
            *units(SECONDS, [pull.pull_seconds, pull.waiting_seconds]),
            override(pull.image, **{"custom.width": 480}),
        ],
        transformations=[in_order(*columns)],
        targets=[
            FluxTarget(
                program(
                    pulls(bucket, pull.node, pull.image, pull.pull_seconds, pull.waiting_seconds),
                    f'records |> keep(columns: [{kept}]) |> sort(columns: ["_time"], desc: true) |> limit(n: {_LATEST})',
                )
            )
        ],
    )
