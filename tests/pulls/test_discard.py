"""What an exporter says of events that it did not write."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pullstudy.pulls.decode import Origin
from pullstudy.pulls.discard import Discard, read_discard
from pullstudy.pulls.eventlog import ExporterLine, LoggedEvent, read_log

ORIGIN = Origin(cluster="c", run="r", size=8)
# From tests/data/pulling-test-run3.
LINE = (
    b'{"level":"warn","event age":"5.671588221s","event namespace":"default","event name":'
    b'"container-pull-7-lc6rk.17fab4780c9c421a","time":"2024-10-02T17:57:19Z","message":'
    b'"Event discarded as being older then maxEventAgeSeconds"}'
)


def test_a_discarded_event_is_known_by_its_name_which_tells_its_object_and_when_it_was_made() -> None:
    assert read_discard(LINE, ORIGIN) == Discard(
        cluster="c",
        run="r",
        size=8,
        namespace="default",
        event_name="container-pull-7-lc6rk.17fab4780c9c421a",
        object_name="container-pull-7-lc6rk",
        at=datetime(2024, 10, 2, 17, 57, 14, 750648, tzinfo=UTC),
        discarded_at=datetime(2024, 10, 2, 17, 57, 19, tzinfo=UTC),
        age_seconds=5.671588221,
    )


def test_what_the_line_does_not_tell_is_unknown() -> None:
    line = b'{"level":"warn","event name":"x","event age":"old","message":"Event discarded"}'
    found = read_discard(line, ORIGIN)
    assert found is not None
    assert (found.namespace, found.object_name, found.at, found.discarded_at, found.age_seconds) == (
        "", None, None, None, None,
    )  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        b'{"level":"info","message":"Reading config file"}',
        b'{"level":"warn","message":"Event discarded as being older then maxEventAgeSeconds"}',  # which is not told
        b'{"level":"warn","event name":5,"message":"Event discarded"}',
        b'{"level":"warn","event name":"' + b"x" * 400 + b'","message":"Event discarded"}',
        b'{"level":"warn"}',
        b"{",
    ],
)
def test_another_line_is_no_discarded_event(line: bytes) -> None:
    assert read_discard(line, ORIGIN) is None


@pytest.mark.parametrize("clock", ["ffffffffffffffff", "17fab4780c9c421aa", "17fab"])
def test_a_name_that_ends_in_no_time_tells_none(clock: str) -> None:
    found = read_discard(LINE.replace(b"17fab4780c9c421a", clock.encode()), ORIGIN)
    assert found is not None
    assert found.at is None


@pytest.mark.parametrize(
    ("log", "lines"),
    [("pulling-test-run3/events-size-8.json", 247), ("eks-gp2-38-images/events-8.jsonl", 22)],
)
def test_every_real_discarded_event_is_named_and_none_of_them_was_written(
    study_data: Path, log: str, lines: int
) -> None:
    with (study_data / log).open("rb") as file:
        items = list(read_log(file))
    found = [read_discard(item.raw, ORIGIN) for item in items if isinstance(item, ExporterLine)]
    discards = [one for one in found if one is not None]
    assert len(discards) == lines
    assert all(one.at and one.age_seconds and one.age_seconds > 5 for one in discards)
    events = [item.event for item in items if isinstance(item, LoggedEvent)]
    written = {(event.metadata.namespace, event.metadata.name) for event in events if event.metadata}
    assert [one for one in discards if (one.namespace, one.event_name) in written] == []
