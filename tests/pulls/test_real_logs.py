"""The real logs give what they hold, and agree with raw-times.json wherever that file is right (docs/raw-times.md)."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pullstudy.pulls.decode import Origin, decode_event
from pullstudy.pulls.duration import parse_seconds
from pullstudy.pulls.eventlog import ExporterLine, LoggedEvent, UnreadableLine, read_log
from pullstudy.pulls.milestone import Witness
from pullstudy.pulls.record import Outcome, PullRecord

STUDY_REPOSITORY = "ghcr.io/converged-computing/container-chonks-run1"


def read(path: Path, size: int) -> list[PullRecord]:
    origin = Origin(cluster="c", size=size)
    with path.open("rb") as file:
        events = [item.event for item in read_log(file) if isinstance(item, LoggedEvent)]
    return [record for event in events for record in decode_event(event, origin).pulls]


def raw_pulls(study_data: Path, size: int) -> dict[str, Any]:
    entries = json.loads((study_data / "pulling-test-run3" / "raw-times.json").read_text())
    return {pod: entry for pod, entry in entries.items() if entry["size"] == size and "pulled" in entry["events"]}


def raw_seconds(entry: Any) -> float:
    return parse_seconds(entry["events"]["pulled"]["message"].split('" in ')[1].split(" ")[0])


@pytest.mark.parametrize("size", [4, 8, 16])
def test_the_aws_logs_hold_every_pull_of_every_image_on_every_node_slot_once(study_data: Path, size: int) -> None:
    records = read(study_data / "pulling-aws" / f"events-size-{size}.json", size)
    tags = json.loads((study_data / "pulling-aws" / "study-run1.json").read_text())["tags"]
    pulls = [record for record in records if record.repository == STUDY_REPOSITORY]
    assert Counter(record.tag for record in pulls) == dict.fromkeys(tags, size)
    assert len({record.identity for record in pulls}) == len(pulls)
    assert {record.job for record in pulls} == {"container-pull"}


@pytest.mark.parametrize("size", [4, 8])
def test_durations_agree_event_by_event_with_raw_times_wherever_it_is_right(study_data: Path, size: int) -> None:
    records = read(study_data / "pulling-test-run3" / f"events-size-{size}.json", size)
    entries = raw_pulls(study_data, size)
    assert {record.pod for record in records} == set(entries)
    overwritten = {
        (record.pod, record.container)
        for record in records
        if record.pull_seconds != raw_seconds(entries[record.pod or ""])
    }
    expected = {4: set(), 8: {("collector-5m66w", "config-init"), ("collector-9xm6j", "config-reloader")}}
    assert overwritten == expected[size]


def test_the_images_that_raw_times_gets_wrong_are_those_of_the_document(study_data: Path) -> None:
    entries = raw_pulls(study_data, 8)
    records = read(study_data / "pulling-test-run3" / "events-size-8.json", 8)
    right = [record for record in records if record.pull_seconds == raw_seconds(entries[record.pod or ""])]
    other = [record for record in right if entries[record.pod or ""].get("container") not in (None, record.image)]
    null = [record for record in right if entries[record.pod or ""].get("container") is None]
    assert {record.pod for record in other} == {"collector-9glrz", "collector-76rcp"}
    assert len(null) == 46
    assert sum("container-chonks" in (record.repository or "") for record in records) == 273


@pytest.mark.parametrize("path", ["pulling-aws/events-size-16.json", "pulling-test-run3/events-size-8.json"])
def test_every_milestone_of_the_real_logs_has_its_microsecond_from_the_events_name(study_data: Path, path: str) -> None:
    with (study_data / path).open("rb") as file:
        items = list(read_log(file))
    assert not [item for item in items if isinstance(item, UnreadableLine)]
    decoded = [decode_event(item.event, Origin(cluster="c")) for item in items if isinstance(item, LoggedEvent)]
    assert not [each for each in decoded if each.unknown]
    assert {milestone.witness for each in decoded for milestone in each.milestones} == {Witness.EVENT_NAME}


def test_the_exporters_own_word_about_what_it_discarded_is_counted(study_data: Path) -> None:
    with (study_data / "pulling-test-run3" / "events-size-8.json").open("rb") as file:
        told = Counter(item.message for item in read_log(file) if isinstance(item, ExporterLine))
    assert told["Event discarded as being older then maxEventAgeSeconds"] == 247


def test_images_already_present_are_no_pulls(study_data: Path) -> None:
    records = read(study_data / "pulling-aws" / "events-size-16.json", 16)
    assert Counter(record.outcome for record in records) == {Outcome.PULLED: 115, Outcome.CACHED: 48}
