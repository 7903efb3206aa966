"""Live: a sweep while it runs."""

from dashboards.columns import milestone, pull
from dashboards.flux import SHOWN_TIMES, Source, marks, of_cluster, program, pulls, timed_pulls_of_any_layers
from dashboards.layout import Json, Row, dashboard, pull_variables
from dashboards.panels import COUNT, SECONDS, Figures, FluxTarget, Lines, Rows, in_order, override, units
from pulls.milestone import Moment

UID = "pullstudy-live"
_LATEST = 50


def build(source: Source) -> Json:
    return dashboard(
        UID,
        "pullstudy: live",
        "A sweep in progress: what is being pulled now, what was pulled last, and how far each job is.",
        _rows(source),
        variables=pull_variables(source),
        since="now-30m",
        until="now",
        refresh="10s",
    )


def _rows(source: Source) -> list[Row]:
    return [
        (4, _figures(source)),
        (9, [(12, _finished(source)), (12, _durations(source))]),
        (10, [(14, _jobs(source)), (10, _moments(source))]),
        (11, [(24, _latest(source))]),
    ]


# A pod that said Pulling and not yet Pulled nor Started.
_IN_PROGRESS = (
    f'marks |> filter(fn: (r) => r.pod != "") |> group(columns: ["{milestone.cluster}", "{milestone.job}", "pod"])\n'
    "  |> reduce(identity: {pulling: 0, over: 0}, fn: (r, accumulator) => ({"
    f'pulling: if r.moment == "{Moment.PULLING}" then 1 else accumulator.pulling,'
    f' over: if r.moment == "{Moment.PULLED}" or r.moment == "{Moment.STARTED}" or r.moment == "{Moment.FINISHED}"'
    " then 1 else accumulator.over})) |> group()\n"
    "  |> reduce(identity: {pods: 0}, fn: (r, accumulator) => ({pods: accumulator.pods + r.pulling * (1 - r.over)}))"
)


def _figures(source: Source) -> list[tuple[int, Figures]]:
    seconds = pull.pull_seconds
    timed = timed_pulls_of_any_layers(source)
    jobs = (
        f'marks |> filter(fn: (r) => r.pod == "" and r.moment == "{Moment.JOB_COMPLETED}")'
        ' |> count(column: "rank") |> keep(columns: ["rank"])'
    )
    figures = [
        (
            "Pulled",
            COUNT,
            program(timed, f'told |> count(column: "{seconds}") |> keep(columns: ["{seconds}"])'),
            "Pulls done",
        ),
        ("Pulling now", COUNT, program(marks(source), _IN_PROGRESS), "Pods that said Pulling and nothing after it"),
        ("Jobs completed", COUNT, program(marks(source), jobs), "Jobs that completed"),
        (
            "Median of the last 50",
            SECONDS,
            program(
                timed,
                f'told |> sort(columns: ["_time"], desc: true) |> limit(n: {_LATEST})'
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


def _finished(source: Source) -> Lines:
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
                    pulls(source),
                    f'told |> group(columns: ["{pull.outcome}"])',
                    f'  |> aggregateWindow(every: v.windowPeriod, fn: count, column: "{pull.event_uid}", createEmpty: false)',
                    f'  |> keep(columns: ["_time", "{pull.outcome}", "{pull.event_uid}"])',
                )
            )
        ],
    )


def _durations(source: Source) -> Lines:
    seconds = pull.pull_seconds

    def line(name: str, probability: float) -> str:
        return (
            "told |> aggregateWindow(every: v.windowPeriod, fn: (tables=<-, column) => tables"
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
                    timed_pulls_of_any_layers(source),
                    f"union(tables: [{line('median', 0.5)},\n {line('p95', 0.95)}])",
                )
            )
        ],
    )


def _jobs(source: Source) -> Rows:
    order = f'"{milestone.cluster}", "{milestone.job}"'
    counted = (Moment.SCHEDULED, Moment.PULLING, Moment.PULLED, Moment.STARTED, Moment.FINISHED)
    identity = ", ".join(f"{moment}: 0" for moment in counted)
    counts = ", ".join(
        f'{moment}: accumulator.{moment} + (if r.moment == "{moment}" then 1 else 0)' for moment in counted
    )
    columns = (milestone.cluster, milestone.job, "nodes", *counted, "completed", "last")
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
                    marks(source),
                    f'marks |> group(columns: [{order}, "nodes"])',
                    f"  |> reduce(identity: {{{identity}, completed: 0, last: 0}}, fn: (r, accumulator) => ({{{counts},"
                    f' completed: if r.moment == "{Moment.JOB_COMPLETED}" then 1 else accumulator.completed,'
                    f" last: if r.{milestone.at} / 1000000 > accumulator.last then r.{milestone.at} / 1000000"
                    " else accumulator.last}))",
                    f'  |> group() |> sort(columns: ["last"], desc: true) |> limit(n: {_LATEST})',
                )
            )
        ],
    )


def _moments(source: Source) -> Lines:
    moment = milestone.tag_name("moment")
    rows = source.rows(
        SHOWN_TIMES, f"{milestone.of_measurement()} and {of_cluster()} and {milestone.of_fields(milestone.at)}"
    )
    return Lines(
        title="Moments",
        description="What was said in each interval, of pods and jobs, by every witness.",
        unit=COUNT,
        axisLabel="said",
        displayName=f"${{__field.labels.{moment}}}",
        targets=[
            FluxTarget(
                f'{rows}\n  |> group(columns: ["{moment}"])'
                " |> aggregateWindow(every: v.windowPeriod, fn: count, createEmpty: false)\n"
                f'  |> keep(columns: ["_time", "_value", "{moment}"])'
            )
        ],
    )


def _latest(source: Source) -> Rows:
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
                    pulls(source, pull.pull_seconds, pull.waiting_seconds),
                    f'told |> keep(columns: [{kept}]) |> sort(columns: ["_time"], desc: true) |> limit(n: {_LATEST})',
                )
            )
        ],
    )
