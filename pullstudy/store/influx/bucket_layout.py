"""Which layout the points of a bucket have, told from the bucket itself: points of layout 2 say it in a tag.

A writer asks before its first point, since the same record in both layouts would be two points. It is answered from the
index of series alone, so that it takes no longer in a bucket of years.
"""

import io
from datetime import UTC, datetime

from pullstudy.store.influx.answers import Action, Verdict, judge_query
from pullstudy.store.influx.connection import Answer, InfluxConnection, NoAnswerError
from pullstudy.store.influx.flux import EVER, lines_of, literal, read_rows
from pullstudy.store.influx.point_layout import FIRST, LAYOUT, MEASUREMENTS, NEWEST
from pullstudy.store.influx.settings import InfluxSettings
from pullstudy.store.protocol import StoreError

VARIABLE = "INFLUXDB_V2_LAYOUT"
_ADVICE = (
    f"; the bucket's layout is not told to a token that may not read it: let it read, or set {VARIABLE}:"
    f" {FIRST} where pullstudy 0.2 or an earlier one wrote to it, else {NEWEST}"
)


def layout_question(bucket: str) -> str:
    """A row for each layout, with how many series of it there are."""
    # As the index has it, a series without the tag has it empty; ``exists`` it does not take here.
    counts = ", ".join(
        f"influxdb.cardinality(bucket: {literal(bucket)}, {EVER}, predicate: (r) => ({_CHANGED}) and r.{LAYOUT} {told})"
        f" |> map(fn: (r) => ({{layout: {layout}, series: r._value}}))"
        for layout, told in ((FIRST, '== ""'), (NEWEST, '!= ""'))
    )
    return f'import "influxdata/influxdb"\nunion(tables: [{counts}])'


_CHANGED = " or ".join(
    f"r._measurement == {literal(name)}"
    for name in dict.fromkeys(each.name for each in MEASUREMENTS if each.first_tags)
)


def layouts_of(answer: Answer) -> frozenset[int]:
    """Those that the bucket has points of. Raises StoreError where the answer is none."""
    rows = read_rows(lines_of(io.TextIOWrapper(io.BytesIO(answer.body), "utf-8", newline="")))
    counts = {row.whole_number("layout"): row.whole_number("series") for row in rows}
    if counts.keys() != {FIRST, NEWEST}:
        raise StoreError("InfluxDB: the answer tells no layouts: is this InfluxDB 2?")
    return frozenset(layout for layout, series in counts.items() if series)


def layout_to_write(found: frozenset[int]) -> int:
    """An old bucket goes on as it is; all else, a bucket with points of both too, is written in the newest."""
    return FIRST if found == {FIRST} else NEWEST


async def found_layouts(settings: InfluxSettings) -> frozenset[int]:
    """Asked once. Raises StoreError where it is not answered."""
    connection = InfluxConnection(settings)
    try:
        answer = await connection.ask(layout_question(settings.bucket))
    except NoAnswerError as error:
        raise StoreError(f"InfluxDB {settings.url}: {error}") from error
    finally:
        await connection.close()
    verdict = judge_layout(answer, datetime.now(UTC))
    if verdict.action is not Action.DONE:
        raise StoreError(f"InfluxDB {settings.url}: {verdict.reason}")
    return layouts_of(answer)


def judge_layout(answer: Answer, now: datetime) -> Verdict:
    """Whether the answer tells the layout, and where it does not, why."""
    verdict = judge_query(answer.status, answer.headers, answer.body, now)
    if verdict.action is Action.DONE:
        try:
            layouts_of(answer)
        except StoreError as error:
            return Verdict(Action.REPEAT, str(error), alarm=True)
        return verdict
    if answer.status in (401, 403, 404):
        return Verdict(verdict.action, f"{verdict.reason}{_ADVICE}", alarm=True)
    return verdict
