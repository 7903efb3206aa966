"""Flux with Grafana's variables in it: what the queries of several panels begin with.

A variable's values come from events, so they are only ever put into a regular expression, where Grafana escapes them
(format ``regex``) and where Flux, other than in its strings, runs nothing.
"""

from dataclasses import dataclass

from dashboards.columns import Columns, abandoned, job_phases, pod_phases, pull, pull_cache
from pullstudy.pulls.image import STUDY_TAG
from pullstudy.pulls.record import WITNESS_PREFIX, Outcome
from pullstudy.store.influx.flux import EVER, literal

SHOWN_TIMES = "start: v.timeRangeStart, stop: v.timeRangeStop"  # Grafana puts the dashboard's time range in
_PACKAGES = ("array", "math", "regexp", "strings")
# Written as \x24, since Grafana would take $1 for a variable.
_FIRST_PART, _SECOND_PART = r'"\x241"', r'"\x242"'
NO_SHAPE = "other"
CLUSTER, RUN, SIZE, NODE, IMAGE, LAYERS, CACHE = "cluster", "run", "size", "node", "image", "layers", "cache"


@dataclass(frozen=True)
class Bucket:
    """Where the points are, by its name."""

    name: str

    def rows(self, times: str, condition: str) -> str:
        return f"from(bucket: {literal(self.name)}) |> range({times})\n  |> filter(fn: (r) => {condition})"


def program(*statements: str) -> str:
    """The statements, and before them the packages that they use."""
    body = "\n".join(statements)
    imports = [f'import "{package}"\n' for package in _PACKAGES if f"{package}." in body]
    return "".join(imports) + body


def chosen(*columns: str) -> str:
    """The condition for tags that variables of the same names choose: the storage engine applies it.

    Of a series without the tag it compares the empty text, which All chooses.
    """
    return " and ".join(f"r.{column} =~ {_is_chosen(column)}" for column in columns)


def one_of(column: str, variable: str) -> str:
    """The condition for a field. Rows without it are there while All is chosen."""
    return f"{text_of(column)} =~ {_is_chosen(variable)}"


def _is_chosen(variable: str) -> str:
    return f"/^(?:${{{variable}:regex}})$/"


def text_of(column: str, otherwise: str = "") -> str:
    return f"(if exists r.{column} then r.{column} else {literal(otherwise)})"


PIVOT = '|> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value") |> group()'


def abandoned_jobs(bucket: Bucket) -> str:
    """The jobs that another attempt replaced: their records are left out, as they are on reading the store."""
    rows = bucket.rows(EVER, f"{abandoned.of_measurement()} and {abandoned.of_fields(abandoned.job)}")
    return (
        f'abandoned = {rows}\n  |> map(fn: (r) => ({{key: r.{abandoned.cluster} + "/" + r._value}}))'
        ' |> group() |> findColumn(fn: (key) => true, column: "key")'
    )


def not_abandoned(job: str) -> str:
    """The condition for records of no job that another attempt replaced."""
    return f'not contains(value: r.{pull.cluster} + "/" + {text_of(job)}, set: abandoned)'


BY_STATUS = f"/^{WITNESS_PREFIX}/"  # quicker than strings.hasPrefix by far, and the storage engine applies it
PLACE = (pull.cluster, pull.run, pull.size)
# As analysis.facts names it.
UNKNOWN_CACHE = "unknown"


def pulls(bucket: Bucket, *fields: str, outcomes: tuple[Outcome, ...] = ()) -> str:
    """``records``: a row for each pull that an event reported, with these fields, of these outcomes (none: of all).

    A pull known from pod status alone has no duration, and an event may report it as well: it is not among them.
    """
    return _pulls(bucket, pull.event_uid, fields, f"!~ {BY_STATUS}", outcomes)


def all_pulls(bucket: Bucket, *fields: str) -> str:
    """``records``, with those known from pod status alone among them."""
    return _pulls(bucket, pull.event_uid, fields)


def timed_pulls(bucket: Bucket, *fields: str) -> str:
    """``records``, of pulls with a duration, of the layers and of the one state of the node's cache that are chosen.

    Only events state a duration.
    """
    shape = f"/^.*:{STUDY_TAG.pattern}$/"
    layers = f"/:(?:${{{LAYERS}:regex}})-layers-size-[0-9]+-bytes$/"
    image = text_of(pull.image)
    of_layers = f"({image} =~ {layers} or ({literal(NO_SHAPE)} =~ {_is_chosen(LAYERS)} and {image} !~ {shape}))"
    return _timed(bucket, fields, {_every(LAYERS): of_layers})


def timed_pulls_of_any_layers(bucket: Bucket, *fields: str) -> str:
    return _timed(bucket, fields, {})


def _timed(bucket: Bucket, fields: tuple[str, ...], choices: dict[str, str]) -> str:
    rows = bucket.rows(SHOWN_TIMES, f"{pull.of_measurement()} and {pull_cache.of_fields(pull_cache.cache)}")
    caches = f'caches = {rows}\n  |> group() |> limit(n: 1) |> findColumn(fn: (key) => true, column: "_value")'
    none_known = f"length(arr: caches) == 0 and {literal(UNKNOWN_CACHE)} =~ {_is_chosen(CACHE)}"
    of_cache = f"{text_of(pull_cache.cache, UNKNOWN_CACHE)} =~ {_is_chosen(CACHE)}"
    timed = _pulls(bucket, pull.pull_seconds, fields, "", (Outcome.PULLED,), {none_known: of_cache, **choices})
    return f"{caches}\n{timed}"


def _every(variable: str) -> str:
    """Whether All is chosen: that alone takes the empty text."""
    return f'"" =~ {_is_chosen(variable)}'


def _pulls(
    bucket: Bucket,
    key: str,
    fields: tuple[str, ...],
    kept: str = "",
    outcomes: tuple[Outcome, ...] = (),
    choices: dict[str, str] | None = None,
) -> str:
    """Those that have the key, a field, and ``kept`` holds of it. ``choices``: conditions, by what makes them hold of all.

    Each field more that rows are joined of costs as much as reading it three times, and a condition on rows more than
    that. So where nothing is chosen, as on most days, and no job was abandoned, the panel's own fields are all that is read.
    """
    conditions = {
        "length(arr: abandoned) == 0": not_abandoned(pull.job),
        _every(IMAGE): one_of(pull.image, IMAGE),
        _every(NODE): one_of(pull.node, NODE),
        **(choices or {}),
    }
    condition = f"r.{key} {kept}" if kept else f"exists r.{key}"
    if fields:
        own = f"{_stored(bucket, (key, *fields), outcomes)}\n  {PIVOT}\n  |> filter(fn: (r) => {condition})"
    else:  # the storage engine applies the condition
        stored = _stored(bucket, (key,), outcomes, f"r._value {kept}" if kept else "")
        own = f'{stored}\n  |> group() |> rename(columns: {{_value: "{key}"}})'
    chosen_by = (pull.job, pull.image, pull.node, pull_cache.cache)
    wanted = _stored(bucket, tuple(dict.fromkeys((key, *fields, *chosen_by))), outcomes)
    joined = f"{wanted}\n  {PIVOT}\n  |> filter(fn: (r) => {' and '.join((condition, *conditions.values()))})"
    return (
        f"{abandoned_jobs(bucket)}\nall = {' and '.join(conditions)}\nown = {own}\njoined = {joined}\n"
        "records = if all then own else joined"
    )


def _stored(bucket: Bucket, fields: tuple[str, ...], outcomes: tuple[Outcome, ...], condition: str = "") -> str:
    """The values of these fields, of the place that is chosen."""
    of_place = chosen(*(pull.tag_name(name) for name in PLACE))
    of_outcomes = " or ".join(f"r.{pull.tag_name('outcome')} == {literal(outcome)}" for outcome in outcomes)
    of_fields = pull.of_fields(*(name for name in fields if name != pull_cache.cache))
    if pull_cache.cache in fields:
        of_fields = f"({of_fields} or {pull_cache.of_fields(pull_cache.cache)})"
    of_pulls = (pull.of_measurement(), of_place, of_outcomes and f"({of_outcomes})", of_fields, condition)
    return bucket.rows(SHOWN_TIMES, " and ".join(filter(None, of_pulls)))


STATES_SHAPE = f"{text_of(pull.image)} =~ /:{STUDY_TAG.pattern}$/"


def _part(text: str) -> str:
    return f"regexp.replaceAllString(r: /^.*:{STUDY_TAG.pattern}$/, v: r.{pull.image}, t: {text})"


def _stated(part: str, otherwise: str) -> str:
    return f"if {STATES_SHAPE} then {part} else {otherwise}"


# How many layers the image's tag states, and how many GB unpacked: 0.0 where it states none.
LAYERS_STATED = _stated(_part(_FIRST_PART), literal(NO_SHAPE))
GB_STATED = _stated(f"float(v: {_part(_SECOND_PART)}) / 1000000000.0", "0.0")
NODES = f"(if exists r.{pull.size} then int(v: r.{pull.size}) else 0)"


def with_columns(rows: str, **columns: str) -> str:
    """The rows with more columns, each by its expression."""
    made = ", ".join(f"{name}: {expression}" for name, expression in columns.items())
    return f"{rows} |> map(fn: (r) => ({{r with {made}}}))"


def phases_of_jobs(bucket: Bucket, *fields: str) -> str:
    """``ended``: a row for each job that has ended, with these fields and ``image``."""
    return _phases(bucket, job_phases, fields, one_of(job_phases.image, IMAGE))


def phases_of_pods(bucket: Bucket, *fields: str) -> str:
    """``ended``: a row for each container of such a job, with these fields, ``image`` and ``node``."""
    of_node = one_of(pod_phases.node, NODE)
    return _phases(bucket, pod_phases, (*fields, pod_phases.node), f"{one_of(pod_phases.image, IMAGE)} and {of_node}")


def _phases(bucket: Bucket, columns: Columns, fields: tuple[str, ...], kept: str) -> str:
    of_tags = chosen(*(columns.tag_name(name) for name in (*PLACE, CACHE)))
    rows = bucket.rows(
        SHOWN_TIMES, f"{columns.of_measurement()} and {of_tags} and {columns.of_fields(*fields, columns.image)}"
    )
    return f"ended = {rows}\n  {PIVOT}\n  |> filter(fn: (r) => {kept})"


def quantiles(rows: str, by: tuple[str, ...], column: str, names: dict[str, float]) -> str:
    """A row a group, with a column for each named quantile, interpolated linearly as analysis.quantiles does."""
    columns = ", ".join(literal(name) for name in by)
    parts = ", ".join(
        f'grouped |> quantile(column: {literal(column)}, q: {probability}, method: "exact_mean")'
        f" |> map(fn: (r) => ({{r with mark: {literal(name)}}}))"
        for name, probability in names.items()
    )
    return (
        f"grouped = {rows} |> group(columns: [{columns}])\n"
        f"union(tables: [{parts}])\n  |> group() "
        f'|> pivot(rowKey: [{columns}], columnKey: ["mark"], valueColumn: {literal(column)}) |> sort(columns: [{columns}])'
    )
