"""Flux with Grafana's variables in it: what the queries of several panels begin with.

A variable's values come from events, so they are only ever put into a regular expression, where Grafana escapes them
(format ``regex``) and where Flux, other than in its strings, runs nothing.
"""

from dataclasses import dataclass

from dashboards.columns import abandoned, milestone, pull
from pulls.image import STUDY_TAG
from pulls.milestone import Moment
from pulls.record import WITNESS_PREFIX, Outcome
from store.flux import EVER, literal

SHOWN_TIMES = "start: v.timeRangeStart, stop: v.timeRangeStop"  # Grafana puts the dashboard's time range in
_PACKAGES = ("dict", "math", "regexp", "strings")
# Written as \x24, since Grafana would take $1 for a variable.
_FIRST_PART, _SECOND_PART = r'"\x241"', r'"\x242"'
NO_SHAPE = "other"
CLUSTER, RUN, SIZE, NODE, IMAGE, LAYERS = "cluster", "run", "size", "node", "image", "layers"


@dataclass(frozen=True)
class Source:
    """Where the points are."""

    bucket: str

    def rows(self, times: str, condition: str) -> str:
        return f"from(bucket: {literal(self.bucket)}) |> range({times})\n  |> filter(fn: (r) => {condition})"


def program(*statements: str) -> str:
    """The statements, and before them the packages that they use."""
    body = "\n".join(statements)
    imports = [f'import "{package}"\n' for package in _PACKAGES if f"{package}." in body]
    return "".join(imports) + body


def one_of(column: str, variable: str) -> str:
    """Rows with one of the variable's chosen values. Rows without the column are there while All is chosen."""
    return f"|> filter(fn: (r) => {text_of(column)} =~ /^(?:${{{variable}:regex}})$/)"


def text_of(column: str) -> str:
    return f'(if exists r.{column} then r.{column} else "")'


def of_place(*columns: str) -> str:
    """Rows by their place. After the pivot: before it each series would be filtered by itself, at three times the cost."""
    return "\n  ".join(one_of(column, column) for column in columns)


def of_cluster() -> str:
    """The condition for the clusters, which every point has: the storage engine itself obeys it."""
    return f"r.{pull.cluster} =~ /^(?:${{{CLUSTER}:regex}})$/"


PIVOT = '|> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value") |> group()'


def gone(source: Source) -> str:
    """The jobs that another attempt replaced: their records are left out, as they are on reading the store."""
    rows = source.rows(EVER, f"{abandoned.of_measurement()} and {abandoned.of_fields(abandoned.job)}")
    return (
        f'gone = {rows}\n  |> map(fn: (r) => ({{key: r.{abandoned.cluster} + "/" + r._value}}))'
        ' |> group() |> findColumn(fn: (key) => true, column: "key")'
    )


def of_jobs_that_count() -> str:
    return f'|> filter(fn: (r) => not contains(value: r.{pull.cluster} + "/" + {text_of(pull.job)}, set: gone))'


def pulls(source: Source, *fields: str, outcome: Outcome | None = None) -> str:
    """``told``: a row a pull that an event told of, with these fields, ``job``, ``image`` and ``tag``.

    What pod status alone witnessed has no duration, and may have been told by an event too: it is not among them.
    """
    wanted = dict.fromkeys((*fields, pull.job, pull.image, pull.tag, pull.event_uid))
    kind = f" and r.{pull.tag_name('outcome')} == {literal(outcome)}" if outcome else ""
    rows = source.rows(SHOWN_TIMES, f"{pull.of_measurement()} and {of_cluster()} and {pull.of_fields(*wanted)}{kind}")
    by_event = f"not strings.hasPrefix(v: r.{pull.event_uid}, prefix: {literal(WITNESS_PREFIX)})"
    return (
        f"{gone(source)}\ntold = {rows}\n  {PIVOT}\n  {of_place(pull.run, pull.size, pull.node)}\n  {of_jobs_that_count()}\n"
        f"  {one_of(pull.image, IMAGE)}\n  |> filter(fn: (r) => {by_event})"
    )


def timed_pulls(source: Source, *fields: str) -> str:
    """``told``, of pulls with a duration, with ``layers`` (text), ``gb`` (unpacked, 0 if unknown) and ``nodes``."""
    return f"{timed_pulls_of_any_layers(source, *fields)}\n  {one_of('layers', LAYERS)}"


def timed_pulls_of_any_layers(source: Source, *fields: str) -> str:
    pattern = f"/^{STUDY_TAG.pattern}$/"
    states = f"exists r.{pull.tag} and r.{pull.tag} =~ {pattern}"

    def part(text: str) -> str:
        return f"regexp.replaceAllString(r: {pattern}, v: r.{pull.tag}, t: {text})"

    shape = (
        "|> map(fn: (r) => ({r with"
        f" layers: if {states} then {part(_FIRST_PART)} else {literal(NO_SHAPE)},"
        f" gb: if {states} then float(v: {part(_SECOND_PART)}) / 1000000000.0 else 0.0,"
        f" nodes: {NODES}}}))"
    )
    known = f"|> filter(fn: (r) => exists r.{pull.pull_seconds})"
    told = pulls(source, pull.pull_seconds, *fields, outcome=Outcome.PULLED)
    return f"{told}\n  {known}\n  {shape}"


NODES = f"if exists r.{pull.size} then int(v: r.{pull.size}) else 0"
_RANKS = ", ".join(f"{{key: {literal(moment)}, value: {place}}}" for place, moment in enumerate(Moment))


def marks(source: Source) -> str:
    """``marks``: a row a moment of a job (``pod`` is empty) or of a pod, by its finest witness, of equals the earliest.

    As analysis.witnesses has it; ``rank`` is the moment's place in the order of a job's life.
    """
    fields = (milestone.at, milestone.job, milestone.pod, milestone.resolution_seconds)
    rows = source.rows(
        SHOWN_TIMES, f"{milestone.of_measurement()} and {of_cluster()} and {milestone.of_fields(*fields)}"
    )
    moment = milestone.tag_name("moment")
    order = (
        f'"{milestone.cluster}", "{milestone.job}", "pod", "rank", "{milestone.resolution_seconds}", "{milestone.at}"'
    )
    pod = text_of(milestone.pod)
    # In one map with dict.get, which Flux runs row by row: its vectorised ``map`` fails on tables of several buffers
    # ("vectors must have equal length", influxd 2.7.12).
    key = f'r.{milestone.cluster} + "/" + r.{milestone.job} + "/" + {pod} + "/" + r.{moment}'
    return (
        f"{gone(source)}\nranks = dict.fromList(pairs: [{_RANKS}])\n"
        f"marks = {rows}\n  {PIVOT}\n  {of_place(milestone.run, milestone.size)}\n"
        f"  |> filter(fn: (r) => exists r.{milestone.job})\n  {of_jobs_that_count()}\n"
        f"  |> map(fn: (r) => ({{r with pod: {pod}, node: {text_of(milestone.node)}, nodes: {NODES}, key: {key},"
        f" rank: dict.get(dict: ranks, key: r.{moment}, default: -1)}}))\n"
        # A pod at a time: ``sort`` mixes the columns of tables of several buffers up (influxd 2.7.12, from some 10,000 rows).
        f'  |> group(columns: ["{milestone.cluster}", "{milestone.job}", "pod"])\n'
        f'  |> sort(columns: [{order}]) |> unique(column: "key") |> group()'
    )


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
