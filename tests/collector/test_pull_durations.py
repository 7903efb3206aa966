"""Pull durations in /metrics: a bounded number of series whatever is pulled, and buckets that hold what they say."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.monitoring.exposition import Exposition, prefers_protobuf
from collector.monitoring.histogram import SCHEMA, NativeHistogram
from collector.monitoring.pull_durations import (
    BOUNDS_SECONDS,
    MOST_ASKED_FOR,
    MOST_REGISTRIES,
    OTHER,
    PullDurations,
    size_class,
)
from collector.monitoring.vitals import Reading
from pullstudy.pulls.metric_names import PULL_OUTCOMES, PULL_SECONDS, PullLabel
from pullstudy.pulls.record import Outcome, PullRecord
from tests.store.records import pull

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
MOST_SERIES = 300
PROTOBUF = "application/vnd.google.protobuf"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def record(number: int = 0, *, seconds: float | None = 2.0, **values: object) -> PullRecord:
    plain = {"repository": "ghcr.io/a/b", "outcome": Outcome.PULLED, "image_bytes": None, "node": "n"}
    told = {"event_uid": f"uid-{number}", "pull_seconds": seconds, "finished_at": AT}
    return msgspec.structs.replace(pull(1), **{**plain, **told, **values})


def counted(*pulls: PullRecord, asked_for: tuple[PullLabel, ...] = ()) -> PullDurations:
    durations = PullDurations("lab", asked_for)
    for each in pulls:
        durations.count(each)
    return durations


def of(durations: PullDurations, name: str) -> Reading:
    return next(reading for reading in durations.readings() if reading.metric.name == name)


def text_of(durations: PullDurations, accept: str = "") -> str:
    return Exposition(lambda: list(durations.readings())).text(accept)[0].decode()


def series(text: str) -> int:
    return sum(line.startswith("pullstudy_") for line in text.splitlines())


def test_downloads_are_in_a_histogram_by_registry_and_class_of_size_and_all_else_is_counted() -> None:
    durations = counted(
        record(1, image_bytes=5_000_000_000),
        record(2, repository="library/redis", image_bytes=50_000_000),
        record(3, seconds=None, outcome=Outcome.CACHED),
        record(4, seconds=None, outcome=Outcome.FAILED, repository=None),
    )
    histograms = of(durations, PULL_SECONDS.name).values
    assert set(histograms) == {("lab", "ghcr.io", "under 10 GB"), ("lab", "docker.io", "under 100 MB")}
    assert of(durations, PULL_OUTCOMES.name).values == {
        ("lab", "ghcr.io", "cached"): 1,
        ("lab", "unknown", "failed"): 1,
    }


@pytest.mark.parametrize(
    ("image_bytes", "name"),
    [
        (None, "unknown"),
        (0, "under 100 MB"),
        (99_999_999, "under 100 MB"),
        (100_000_000, "under 1 GB"),
        (1_000_000_000, "under 10 GB"),
        (10_000_000_000, "10 GB or more"),
    ],
)
def test_a_class_of_size_ends_where_its_name_says(image_bytes: int | None, name: str) -> None:
    assert size_class(image_bytes) == name


def test_whatever_is_pulled_the_series_stay_under_300_and_no_pull_is_left_out() -> None:
    pulls = [
        record(
            number,
            repository=f"r{number % 97}.example/a/{number}",
            image_bytes=(None, 1, 10**8, 10**9, 10**10)[number % 5],
            outcome=list(Outcome)[number % 4],
            seconds=2.0 if number % 3 else None,
        )
        for number in range(20_000)
    ]
    durations = counted(*pulls)
    assert series(text_of(durations)) <= MOST_SERIES
    timed = sum(getattr(each, "count", 0) for each in of(durations, PULL_SECONDS.name).values.values())
    others = sum(float(str(each)) for each in of(durations, PULL_OUTCOMES.name).values.values())
    assert timed + others == len(pulls)
    registries = {labels[1] for labels in of(durations, PULL_OUTCOMES.name).values}
    assert len(registries - {OTHER}) <= MOST_REGISTRIES
    assert OTHER in registries


def test_5000_nodes_and_10000_tags_of_three_registries_are_at_most_300_series() -> None:
    registries = ("ghcr.io/a/b", "library/redis", "registry.example:5000/team/app")
    durations = PullDurations("lab")
    for number in range(50_000):
        tag, node = f"t{number % 10_000}", f"n{number % 5_000}"
        named = {"image": f"x:{tag}", "node": node, "repository": registries[number % 3]}
        durations.count(record(number, image_bytes=10 ** (6 + number % 5), **named))
    assert series(text_of(durations)) <= MOST_SERIES


def test_image_and_node_are_labels_only_where_they_are_asked_for_and_bounded_too() -> None:
    pulls = [record(number, image=f"i{number}", node=f"n{number}") for number in range(MOST_ASKED_FOR + 500)]
    durations = counted(*pulls, asked_for=(PullLabel.IMAGE, PullLabel.NODE))
    reading = of(durations, PULL_SECONDS.name)
    assert reading.metric.labels == (*PULL_SECONDS.labels, "image", "node")
    assert len(reading.values) == MOST_ASKED_FOR + 1
    last = reading.values["lab", OTHER, "unknown", OTHER, OTHER]
    assert isinstance(last, NativeHistogram)
    assert last.count == 500
    assert set(of(counted(*pulls), PULL_SECONDS.name).values) == {("lab", "ghcr.io", "unknown")}


def test_a_bucket_names_the_event_of_its_last_pull_in_openmetrics() -> None:
    text = text_of(counted(record(1, seconds=70.0), record(2, seconds=90.0)), OPENMETRICS)
    (line,) = (line for line in text.splitlines() if 'le="180"' in line)
    assert '# {event_uid="uid-2"} 90.0' in line


def test_a_uid_longer_than_openmetrics_takes_is_no_exemplar() -> None:
    assert "event_uid" not in text_of(counted(record(1, event_uid="u" * 200)), OPENMETRICS)


@given(st.floats(min_value=0.001, max_value=1e7))
def test_a_native_bucket_holds_what_is_over_its_lower_bound_and_at_most_its_upper(seconds: float) -> None:
    histogram = NativeHistogram(BOUNDS_SECONDS)
    histogram.observe(seconds)
    ((index, count),) = histogram.native_buckets()
    assert count == 1
    growth = 2 ** (2**-SCHEMA)
    assert growth ** (index - 1) * (1 - 1e-9) <= seconds <= growth**index * (1 + 1e-9)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-9, 1e12, float("inf")])
def test_odd_durations_are_counted_in_a_bounded_number_of_buckets(seconds: float) -> None:
    histogram = NativeHistogram(BOUNDS_SECONDS)
    histogram.observe(seconds)
    assert histogram.count == 1
    assert histogram.zeros + sum(count for _, count in histogram.native_buckets()) == 1


@pytest.mark.parametrize(
    ("accept", "asked"),
    [
        (f"{PROTOBUF};proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,text/plain;q=0.5", True),
        (f"text/plain;q=0.6,{PROTOBUF};q=0.5", False),
        (f"{PROTOBUF};q=0", False),
        (f"{PROTOBUF};q=x,text/plain", False),
        ("application/openmetrics-text; version=1.0.0", False),
        ("", False),
    ],
)
def test_protobuf_is_served_where_it_is_asked_for_first(accept: str, asked: bool) -> None:
    assert prefers_protobuf(accept) is asked
