"""Flux with Grafana's variables in it: what the queries of several panels begin with.

A variable's values come from events, so they are only ever put into a regular expression, where Grafana escapes them
(format ``regex``) and where Flux, other than in its strings, runs nothing.
"""

from dataclasses import dataclass

from dashboards.columns import Columns, abandoned, pull, pull_cache
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


def chosen(*columns: str) -> str:
    """The condition for tags that variables of the same names choose: the storage engine itself obeys it.

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


def gone(source: Source) -> str:
    """The jobs that another attempt replaced: their records are left out, as they are on reading the store."""
    rows = source.rows(EVER, f"{abandoned.of_measurement()} and {abandoned.of_fields(abandoned.job)}")
    return (
        f'gone = {rows}\n  |> map(fn: (r) => ({{key: r.{abandoned.cluster} + "/" + r._value}}))'
        ' |> group() |> findColumn(fn: (key) => true, column: "key")'
    )


def counts(job: str) -> str:
    """The condition for records of no job that another attempt replaced."""
    return f'not contains(value: r.{pull.cluster} + "/" + {text_of(job)}, set: gone)'


PLACE = (pull.cluster, pull.run, pull.size)
# As analysis.facts names it.
UNKNOWN_CACHE = "unknown"


def pulls(source: Source, *fields: str) -> str:
    """``told``: a row a pull that an event told of, with these fields, ``job`` and ``image``.

    What pod status alone witnessed has no duration, and may have been told by an event too: it is not among them.
    """
    by_event = f"not strings.hasPrefix(v: r.{pull.event_uid}, prefix: {literal(WITNESS_PREFIX)})"
    return _pulls(source, (*fields, pull.event_uid), by_event)


def all_pulls(source: Source, *fields: str) -> str:
    """``told``, with those that pod status alone witnessed among them."""
    return _pulls(source, (*fields, pull.event_uid))


def timed_pulls(source: Source, *fields: str) -> str:
    """``told``, of pulls with a duration, of the layers and of the one state of the node's cache that are chosen.

    Only an event tells a duration.
    """
    shape = f"/^.*:{STUDY_TAG.pattern}$/"
    layers = f"/:(?:${{{LAYERS}:regex}})-layers-size-[0-9]+-bytes$/"
    image = text_of(pull.image)
    of_layers = f"{image} =~ {layers} or ({literal(NO_SHAPE)} =~ {_is_chosen(LAYERS)} and {image} !~ {shape})"
    return timed_pulls_of_any_layers(source, *fields) + f"\n  |> filter(fn: (r) => {of_layers})"


def timed_pulls_of_any_layers(source: Source, *fields: str) -> str:
    known = f"exists r.{pull.pull_seconds}"
    of_cache = f"{text_of(pull_cache.cache, UNKNOWN_CACHE)} =~ {_is_chosen(CACHE)}"
    pulled = f"r.{pull.tag_name('outcome')} == {literal(Outcome.PULLED)}"
    return _pulls(source, (*fields, pull.pull_seconds, pull_cache.cache), known, of_cache, pulled=pulled)


def _pulls(source: Source, fields: tuple[str, ...], *conditions: str, pulled: str = "") -> str:
    wanted = dict.fromkeys((*fields, pull.job, pull.image))
    own = [name for name in wanted if name != pull_cache.cache]
    further = [pull_cache.of_fields(pull_cache.cache)] if len(own) < len(wanted) else []
    named = " or ".join([pull.of_fields(*own), *further])
    of_place = chosen(*(pull.tag_name(name) for name in (*PLACE, NODE)))
    stored = " and ".join(filter(None, (pull.of_measurement(), of_place, pulled, f"({named})")))
    kept = " and ".join((*conditions, one_of(pull.image, IMAGE), counts(pull.job)))
    return f"{gone(source)}\ntold = {source.rows(SHOWN_TIMES, stored)}\n  {PIVOT}\n  |> filter(fn: (r) => {kept})"


def _part(text: str) -> str:
    return f"regexp.replaceAllString(r: /^.*:{STUDY_TAG.pattern}$/, v: r.{pull.image}, t: {text})"


def _stated(part: str, otherwise: str) -> str:
    return f"if {text_of(pull.image)} =~ /:{STUDY_TAG.pattern}$/ then {part} else {otherwise}"


# How many layers the image's tag states, and how many GB unpacked: 0.0 where it states none.
LAYERS_STATED = _stated(_part(_FIRST_PART), literal(NO_SHAPE))
GB_STATED = _stated(f"float(v: {_part(_SECOND_PART)}) / 1000000000.0", "0.0")
NODES = f"(if exists r.{pull.size} then int(v: r.{pull.size}) else 0)"


def with_columns(rows: str, **columns: str) -> str:
    """The rows with more columns, each by its expression."""
    made = ", ".join(f"{name}: {expression}" for name, expression in columns.items())
    return f"{rows} |> map(fn: (r) => ({{r with {made}}}))"


def phases(source: Source, columns: Columns, *fields: str) -> str:
    """``over``: a row a job or container of a job that is over, with these fields and ``image``."""
    of_tags = chosen(*(name for name in (*PLACE, CACHE, NODE) if columns.is_tag(name)))
    rows = source.rows(
        SHOWN_TIMES, f"{columns.of_measurement()} and {of_tags} and {columns.of_fields(*fields, columns.image)}"
    )
    return f"over = {rows}\n  {PIVOT}\n  |> filter(fn: (r) => {one_of(columns.image, IMAGE)})"


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
