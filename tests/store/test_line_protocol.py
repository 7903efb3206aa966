"""A record becomes one point, always the same one, and two records become two."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullstudy.pulls.batch import Reject
from pullstudy.pulls.milestone import Moment
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.store.influx.line_protocol import (
    SECOND,
    PointError,
    PointFormat,
    decode_point,
    encode_point,
    parse_line,
)
from pullstudy.store.influx.point_layout import FIRST, MEASUREMENTS, PULL
from pullstudy.store.influx.point_text import FIELD_CHARACTERS, TAG_CHARACTERS
from tests.store.records import AT, any_pull, any_record, gap, milestone, pull, reject


def key(record: msgspec.Struct) -> tuple[Any, ...]:
    """What the server takes two points to be one by."""
    line = parse_line(encode_point(record))
    return (line.measurement, tuple(sorted(line.tags.items())), line.time)


@given(any_record)
def test_any_record_is_read_back_from_its_line(record: msgspec.Struct) -> None:
    assert decode_point(encode_point(record)) == record


@given(any_record)
def test_any_line_is_one_line_of_utf8_but_for_newlines_in_quotes(record: msgspec.Struct) -> None:
    line = encode_point(record)
    line.encode("utf-8")
    head, _, rest = line.partition(" ")
    assert "\n" not in head
    assert "\r" not in line
    assert all("\n" not in part for part in rest.replace("\\\\", "").replace('\\"', "").split('"')[::2])


@given(any_pull, st.integers(1, 50))
def test_pulls_with_equal_tags_in_one_microsecond_stay_as_many_points(record: PullRecord, others: int) -> None:
    same = [msgspec.structs.replace(record, event_uid=f"uid-{number}") for number in range(others)]
    counts = [-number for number in range(1, others) if -number != record.count]
    updated = [msgspec.structs.replace(record, event_uid="uid-0", count=count) for count in counts]
    assert len({key(each) for each in [*same, *updated]}) == others + len(counts)


@given(any_pull)
def test_the_same_pull_is_the_same_point_whatever_object_carries_it(record: PullRecord) -> None:
    again = PullRecord(**msgspec.structs.asdict(record))
    assert encode_point(again) == encode_point(record)


def test_five_thousand_nodes_that_say_one_thing_in_one_second_are_five_thousand_points() -> None:
    records = [pull(f"uid-{number}", node=f"node-{number}", finished_at=AT) for number in range(5_000)]
    assert len({key(each) for each in records}) == 5_000


def test_five_thousand_pods_made_in_one_second_without_a_node_yet_are_five_thousand_points() -> None:
    made = [milestone(f"uid-{number}", moment=Moment.POD_CREATED) for number in range(5_000)]
    assert len({key(each) for each in made}) == 5_000
    assert len({key(each)[:2] for each in made}) == 64  # lanes


def test_a_thousand_nodes_and_repositories_make_no_more_series_than_there_are_lanes() -> None:
    records = [pull(f"u{each}", node=f"n{each}", repository=f"r{each}", finished_at=AT) for each in range(10_000)]
    assert len({key(each)[:2] for each in records}) == 64


@given(any_pull, any_pull)
def test_no_more_than_cluster_run_size_outcome_and_identity_say_which_point_a_pull_is(
    record: PullRecord, other: PullRecord
) -> None:
    fixed = ("cluster", "run", "size", "outcome", "finished_at", "event_uid", "count")
    again = msgspec.structs.replace(other, **{name: getattr(record, name) for name in fixed})
    assert key(again) == key(record)


@given(any_record)
def test_a_record_has_the_same_time_and_the_same_columns_in_both_layouts(record: msgspec.Struct) -> None:
    first = PointFormat(MEASUREMENTS, FIRST)
    assert first.decode(first.encode(record)) == record
    assert parse_line(first.encode(record)).time == parse_line(encode_point(record)).time


def test_in_the_first_layout_node_and_repository_are_tags_and_a_lane_stands_in_for_an_unknown_node() -> None:
    first = PointFormat([PULL], FIRST)
    line = parse_line(first.encode(pull(node="n", repository="r")))
    assert line.tags == {"cluster": "c", "node": "n", "outcome": "pulled", "repository": "r"}
    assert set(parse_line(first.encode(pull())).tags) == {"cluster", "lane", "outcome"}


def test_the_points_second_is_the_pulls_and_the_exact_time_is_a_field() -> None:
    line = parse_line(encode_point(pull(finished_at=AT)))
    assert line.time // 10**9 == int(AT.timestamp())
    assert line.fields["finished_at"] == "1731285130941901000"


@pytest.mark.parametrize(
    "at", [datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)]
)
def test_times_before_1970_keep_their_second_too(at: datetime) -> None:
    assert parse_line(encode_point(pull(finished_at=at))).time // 10**9 == int(
        (at - timedelta(microseconds=at.microsecond)).timestamp()
    )


def test_a_pull_of_unknown_time_lies_in_the_first_day_of_1970_and_reads_back_as_unknown() -> None:
    record = pull(finished_at=None)
    assert 0 <= parse_line(encode_point(record)).time < 86_400 * 10**9
    assert decode_point(encode_point(record)) == record


def test_nothing_that_grows_with_every_pod_or_release_is_a_tag() -> None:
    for layout in MEASUREMENTS:
        unbounded = {"event_uid", "pod", "pod_uid", "job", "digest", "tag", "image", "error", "raw", "problem", "why"}
        unbounded |= {"node", "repository"}
        assert not unbounded & set(layout.tags), layout.name
        assert set(layout.tags) | set(layout.fields) == set(layout.struct.__struct_fields__)


def test_unknown_is_left_out_and_is_no_zero() -> None:
    line = parse_line(encode_point(pull()))
    assert set(line.fields) == {"count", "event_uid"}
    assert set(line.tags) == {"cluster", "outcome", "lane", "layout"}


def test_what_people_search_for_is_stored_as_it_is() -> None:
    error = 'rpc error: code = NotFound desc = "ghcr.io/a%2Fb": C:\\x, 100 % of it\nsecond line'
    line = parse_line(encode_point(pull(repository="ghcr.io/a/b", error=error)))
    assert line.fields["error"] == error
    assert line.fields["repository"] == "ghcr.io/a/b"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a b,c=d", r"a\ b\,c\=d"),
        ("ends\\", "ends�005c"),
        ("two\nlines", "two�000alines"),
        ("", "�"),
        ("�", "�fffd"),
        ("�000a", "�fffd000a"),
        ('"', '"'),
    ],
)
def test_hostile_text_as_a_tag(text: str, written: str) -> None:
    line = encode_point(pull(run=text))
    assert f",run={written} " in line
    assert decode_point(line) == pull(run=text)


def test_very_long_text_is_cut_and_the_cut_is_marked() -> None:
    error, run = "é" * 70_000, "r" * 1_000
    line = parse_line(encode_point(pull(error=error, run=run)))
    assert len(line.fields["error"]) == FIELD_CHARACTERS
    assert line.fields["error"].startswith("ééé")
    assert "[cut from 70000 characters, blake2b " in line.fields["error"]
    assert len(line.tags["run"]) == TAG_CHARACTERS


def test_two_long_texts_that_differ_after_the_cut_stay_different() -> None:
    first, second = (encode_point(pull(run="r" * 1_000 + end)) for end in "ab")
    assert parse_line(first).tags["run"] != parse_line(second).tags["run"]


@pytest.mark.parametrize(
    "record",
    [
        pull(image_bytes=2**63),
        pull(pull_seconds=float("nan")),
        pull(waiting_seconds=float("inf")),
        pull(finished_at=datetime(1600, 1, 1, tzinfo=UTC)),
        milestone(at=datetime(2300, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_value_that_no_point_can_hold_is_an_error_that_says_which(record: msgspec.Struct) -> None:
    with pytest.raises(PointError, match=r"64 bits|no number|outside"):
        encode_point(record)


@pytest.mark.parametrize("line", ["", "pull", "pull,cluster=c", "cpu value=1 1", "pull,cluster=c count=x 1"])
def test_a_line_that_is_none_of_ours_is_an_error(line: str) -> None:
    with pytest.raises(PointError):
        decode_point(line)


def test_rejects_and_gaps_have_points_of_their_own() -> None:
    assert decode_point(encode_point(reject(raw='{"a": 1}\n'))) == reject(raw='{"a": 1}\n')
    assert decode_point(encode_point(gap())) == gap()
    assert key(reject()) != key(reject(raw="other"))
    assert isinstance(decode_point(encode_point(reject())), Reject)


def test_a_rejects_point_lies_in_the_second_that_it_was_seen_so_that_a_retention_keeps_it() -> None:
    line = encode_point(reject(at=AT))
    assert decode_point(line) == reject(at=AT)
    assert parse_line(line).time // SECOND == int(AT.timestamp())
    assert parse_line(encode_point(reject())).time // SECOND < 86_400


def test_an_outcome_reads_back_as_an_outcome() -> None:
    back = decode_point(encode_point(pull(outcome=Outcome.BACKOFF)))
    assert isinstance(back, PullRecord)
    assert back.outcome is Outcome.BACKOFF


def test_the_layout_names_the_columns_of_the_record_itself() -> None:
    assert PULL.struct.__struct_fields__ == PullRecord.__struct_fields__
