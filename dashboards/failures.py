"""Failures: pulls that failed or were backed off, with their messages, and what could not be read at all."""

from dashboards.columns import Columns, gap, pull, reject
from dashboards.flux import BY_STATUS, CLUSTER, PIVOT, SHOWN_TIMES, Bucket, all_pulls, chosen, program, pulls
from dashboards.layout import Json, Row, clusters_heading, dashboard, heading, pull_variables
from dashboards.panels import COUNT, Bars, Figures, FluxTarget, Lines, Rows, in_order, override
from pullstudy.pulls.record import Outcome

UID = "pullstudy-failures"
_MESSAGES = 500  # shown at most
_WRONG = (Outcome.FAILED, Outcome.BACKOFF)
_RED = [{"color": "green", "value": None}, {"color": "red", "value": 1}]


def build(bucket: Bucket) -> Json:
    return dashboard(
        UID,
        "pullstudy: failures",
        "Pulls that failed or were backed off, why, and what the collector could not read.",
        _rows(bucket),
        variables=pull_variables(bucket),
    )


def _rows(bucket: Bucket) -> list[Row]:
    return [
        clusters_heading(),
        (4, [(6, _figure(bucket, outcome)) for outcome in Outcome]),
        (9, [(24, _over_time(bucket))]),
        (10, [(12, _by(bucket, pull.image, "image")), (12, _by(bucket, pull.node, "node"))]),
        (12, [(24, _messages(bucket))]),
        heading("What was not seen, or not understood"),
        (8, [(24, _pod_status_alone(bucket))]),
        (9, [(12, _rejects(bucket)), (12, _gaps(bucket))]),
    ]


def _query(
    bucket: Bucket, *statements: str, fields: tuple[str, ...] = (), outcomes: tuple[Outcome, ...] = _WRONG
) -> list[FluxTarget]:
    return [FluxTarget(program(pulls(bucket, *fields, outcomes=outcomes), *statements))]


_DESCRIBED = {
    Outcome.PULLED: "Pulls that ended with the image on the node.",
    Outcome.CACHED: "Images that were on the node already: nothing was pulled.",
    Outcome.FAILED: "Attempts that failed, each repetition counted.",
    Outcome.BACKOFF: "Times that a kubelet said it waits before it tries again.",
}


def _figure(bucket: Bucket, outcome: Outcome) -> Figures:
    bad = outcome in _WRONG
    counted = f'records |> count(column: "{pull.event_uid}") |> keep(columns: ["{pull.event_uid}"])'
    return Figures(
        title=str(outcome),
        description=_DESCRIBED[outcome],
        unit=COUNT,
        background=bad,
        steps=_RED if bad else [{"color": "text", "value": None}],
        noValue="0",
        targets=_query(bucket, counted, outcomes=(outcome,)),
    )


def _over_time(bucket: Bucket) -> Lines:
    return Lines(
        title="Failures and back-offs over time",
        description="How many in each interval.",
        unit=COUNT,
        bars=True,
        stacked=True,
        axisLabel="attempts",
        displayName="${__field.labels.outcome}",
        overrides=[],
        targets=_query(
            bucket,
            f'records |> group(columns: ["{pull.outcome}"])',
            f'  |> aggregateWindow(every: v.windowPeriod, fn: count, column: "{pull.event_uid}", createEmpty: false)',
            f'  |> keep(columns: ["_time", "{pull.outcome}", "{pull.event_uid}"])',
        ),
    )


def _by(bucket: Bucket, column: str, word: str) -> Bars:
    return Bars(
        title=f"By {word}",
        description=f"Failures and back-offs of each {word}; the 30 with the most.",
        unit=COUNT,
        xField=column,
        axisLabel="attempts",
        stacked=True,
        horizontal=True,
        targets=_query(
            bucket,
            f'records |> filter(fn: (r) => exists r.{column}) |> group(columns: ["{column}", "{pull.outcome}"])',
            f'  |> count(column: "{pull.event_uid}") |> group()',
            f'  |> pivot(rowKey: ["{column}"], columnKey: ["{pull.outcome}"], valueColumn: "{pull.event_uid}")',
            f'  |> sort(columns: ["{Outcome.FAILED}", "{column}"], desc: true) |> limit(n: 30)',
            fields=(column,),
        ),
    )


def _messages(bucket: Bucket) -> Rows:
    columns = (
        "_time",
        pull.cluster,
        pull.node,
        pull.pod,
        pull.image,
        pull.outcome,
        pull.count,
        pull.error,
    )
    kept = ", ".join(f'"{name}"' for name in columns)
    return Rows(
        title="Messages",
        description=f"What the kubelet said of each failure, as plain text; the {_MESSAGES} latest.",
        overrides=[
            override(pull.error, **{"custom.width": 640, "custom.cellOptions": {"type": "auto", "wrapText": True}})
        ],
        transformations=[in_order(*columns)],
        targets=_query(
            bucket,
            f"records |> keep(columns: [{kept}])",
            f'  |> sort(columns: ["_time"], desc: true) |> limit(n: {_MESSAGES})',
            fields=(pull.node, pull.pod, pull.image, pull.count, pull.error),
        ),
    )


def _pod_status_alone(bucket: Bucket) -> Rows:
    """Counted by one pass over all pulls: a container known from pod status, and from no event.

    Mostly nothing is known from pod status alone: then nothing is counted.
    """
    fields = (pull.node, pull.image, pull.pod, pull.container)
    of_uids = f"{pull.of_measurement()} and {pull.of_fields(pull.event_uid)}"
    by_status = bucket.rows(SHOWN_TIMES, f"{of_uids} and r._value =~ {BY_STATUS}")
    is_by_status = f"r.{pull.event_uid} =~ {BY_STATUS}"
    key = ", ".join(f'"{name}"' for name in (pull.cluster, pull.node, pull.pod, pull.container, pull.image))
    return Rows(
        title="Pulls without an event",
        description="The loss audit found them in pod status: the event was lost before the collector, so that they have "
        "no duration. Empty is good.",
        unit=COUNT,
        targets=[
            FluxTarget(
                program(
                    all_pulls(bucket, *fields),
                    f"by_status = {by_status}\n  |> group()",
                    'uids = by_status |> findColumn(fn: (key) => true, column: "_value")',
                    f"counted = records |> group(columns: [{key}])",
                    "  |> reduce(identity: {by_status: 0, by_event: 0}, fn: (r, accumulator) => ({"
                    f"by_status: accumulator.by_status + (if {is_by_status} then 1 else 0),"
                    f" by_event: accumulator.by_event + (if {is_by_status} then 0 else 1)}}))",
                    '  |> group() |> filter(fn: (r) => r.by_status > 0 and r.by_event == 0) |> drop(columns: ["by_event"])',
                    "  |> limit(n: 500)",
                    "if length(arr: uids) > 0 then counted else by_status",
                )
            )
        ],
    )


def _kept(bucket: Bucket, columns: Columns, times: str, *names: str) -> str:
    """Rejects and gaps: few, or something is badly wrong."""
    rows = bucket.rows(times, f"{columns.of_measurement()} and {chosen(CLUSTER)} and {columns.of_fields(*names)}")
    kept = ", ".join(f'"{name}"' for name in names)
    return f"{rows}\n  {PIVOT} |> keep(columns: [{kept}]) |> limit(n: {_MESSAGES})"


_OF_NO_TIME = "start: 0, stop: 86400"  # points of unknown time lie in the first day of 1970


def _rejects(bucket: Bucket) -> Rows:
    names = (reject.cluster, reject.source, reject.position, reject.problem, reject.raw)
    return Rows(
        title="Rejects",
        description="Input that could not be understood, kept whole and shown as plain text; those of unknown time too. "
        "Empty is good.",
        overrides=[override(reject.problem, **{"custom.width": 360})],
        transformations=[in_order(*names)],
        targets=[
            FluxTarget(
                f"union(tables: [{_kept(bucket, reject, SHOWN_TIMES, *names)},\n"
                f"{_kept(bucket, reject, _OF_NO_TIME, *names)}])"
            )
        ],
    )


def _gaps(bucket: Bucket) -> Rows:
    names = (gap.cluster, gap.from_version, gap.to_version, gap.why)
    return Rows(
        title="Gaps",
        description="Stretches of the event stream that were not watched: what was deleted in them is unknown. Empty is good.",
        transformations=[in_order(*names)],
        targets=[FluxTarget(_kept(bucket, gap, SHOWN_TIMES, *names))],
    )
