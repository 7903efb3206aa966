"""What is known of a pull's streaming: what an event proves, and that its absence proves nothing where nodes stream."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pullstudy.pulls.decode import Decoded, Origin, decode_event
from pullstudy.pulls.event import decode_event_json
from pullstudy.pulls.eventlog import LoggedEvent, read_log
from pullstudy.pulls.message import StreamingText, read_streaming
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.pulls.streamed import Streamed, StreamedPulls, streams_images
from pullstudy.pulls.streaming import Streaming
from tests.pulls.events import as_json, core_event

DIGEST = "sha256:" + "ab" * 32
REPOSITORY = "europe-docker.pkg.dev/p/r/app"
AT = datetime(2024, 11, 10, 20, 0, 30, tzinfo=UTC)
ORIGIN = Origin(cluster="c", run="r", size=4)
SHARES = "is backed by secondary boot disk caching by 12.5% (1/8 layers), by image streaming by 87.5% (7/8 layers)."


def streaming(**more: Any) -> Streaming:
    known = {"cluster": "c", "node": "n", "image": f"{REPOSITORY}@{DIGEST}", "repository": REPOSITORY, "digest": DIGEST}
    return Streaming(**{**known, "at": AT, "count": 1, "event_uid": "u", **more})


def pull(**more: Any) -> PullRecord:
    known = {"cluster": "c", "node": "n", "repository": REPOSITORY, "outcome": Outcome.PULLED, "count": 1}
    times = {"started_at": AT - timedelta(seconds=1), "finished_at": AT + timedelta(seconds=1)}
    return PullRecord(**{**known, **times, "event_uid": "p", **more})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"Image {REPOSITORY}@{DIGEST} is backed by image streaming.", StreamingText(f"{REPOSITORY}@{DIGEST}")),
        (f"Image a/b@{DIGEST} {SHARES}", StreamingText(f"a/b@{DIGEST}", 0.875, 7, 0.125, 1, 8)),
        ("Image x is not backed by image streaming.", None),
        ("Node does not stream images.", None),
    ],
)
def test_both_forms_of_the_snapshotters_message_are_read(text: str, found: StreamingText | None) -> None:
    assert read_streaming(text) == found


def node_event(text: str, **changes: Any) -> Decoded:
    event = core_event("ImageStreaming", text, source={"component": "gcfs-snapshotter"}, **changes)
    event["involvedObject"] = {"kind": "Node", "name": "node-7", "uid": "n"}
    return decode_event(decode_event_json(as_json(event)), ORIGIN)


def test_a_streaming_event_is_a_record_of_its_node_and_image_and_no_pull() -> None:
    decoded = node_event(f"Image {REPOSITORY}@{DIGEST} {SHARES}")
    (record,) = decoded.others
    assert isinstance(record, Streaming)
    assert (decoded.kind, decoded.pulls) == ("notice", ())
    assert (record.cluster, record.run, record.size, record.node) == ("c", "r", 4, "node-7")
    assert (record.repository, record.digest, record.combined) == (REPOSITORY, DIGEST, False)
    assert (record.streamed_share, record.streamed_layers, record.layers) == (0.875, 7, 8)
    assert (record.count, record.event_uid) == (1, "8d9bbcdb-79f2-4c8a-96af-d0bb3f51e81f")


def test_a_combined_event_tells_of_its_last_image_and_that_there_were_others() -> None:
    text = f"(combined from similar events): Image {REPOSITORY}@{DIGEST} is backed by image streaming."
    (record,) = node_event(text, count=16).others
    assert isinstance(record, Streaming)
    assert (record.combined, record.count, record.digest) == (True, 16, DIGEST)


def test_another_message_of_the_snapshotter_is_a_notice_alone() -> None:
    assert node_event("Image streaming is off").others == ()


def test_the_same_digest_on_the_same_node_was_streamed() -> None:
    known = StreamedPulls([streaming()], {})
    late = {"started_at": None, "finished_at": AT + timedelta(hours=1)}
    assert known.of(pull(digest=DIGEST, **late)) is Streamed.STREAMED
    assert known.of(pull(digest=DIGEST, node="other")) is Streamed.UNKNOWN
    assert known.of(pull(digest="sha256:" + "cd" * 32)) is Streamed.UNKNOWN
    assert known.of(pull(digest=DIGEST, cluster="other")) is Streamed.WHOLE


def test_of_a_tag_the_repository_tells_while_the_pull_was_under_way() -> None:
    known = StreamedPulls([streaming()], {})
    assert known.of(pull()) is Streamed.STREAMED
    assert (
        known.of(pull(started_at=AT + timedelta(minutes=1), finished_at=AT + timedelta(minutes=2))) is Streamed.UNKNOWN
    )
    assert known.of(pull(finished_at=None)) is Streamed.UNKNOWN
    assert StreamedPulls([streaming(at=None)], {}).of(pull()) is Streamed.UNKNOWN


def test_an_image_of_which_nothing_is_streamed_was_pulled_whole() -> None:
    assert StreamedPulls([streaming(streamed_share=0.0)], {}).of(pull(digest=DIGEST)) is Streamed.WHOLE


def test_an_image_of_a_registry_that_cannot_be_streamed_from_was_pulled_whole() -> None:
    known = StreamedPulls([streaming()], {("c", "n"): True})
    assert known.of(pull(repository="ghcr.io/a/b")) is Streamed.WHOLE
    assert known.of(pull(repository="notgcr.io/a/b")) is Streamed.WHOLE
    assert known.of(pull(repository="gcr.io/a/other")) is Streamed.UNKNOWN
    assert known.of(pull(repository=None)) is Streamed.UNKNOWN


def test_a_node_that_is_known_not_to_stream_pulls_whole_beside_nodes_that_do() -> None:
    known = StreamedPulls([streaming()], {("c", "n"): True, ("c", "m"): False})
    assert known.of(pull(node="m")) is Streamed.WHOLE
    assert known.of(pull(node="unlisted")) is Streamed.UNKNOWN
    assert known.of(pull(node=None)) is Streamed.UNKNOWN


def test_a_node_says_by_labels_that_it_streams() -> None:
    assert streams_images({"cloud.google.com/gke-image-streaming": "true"})
    assert not streams_images({"cloud.google.com/gke-image-streaming": "false"})
    assert not streams_images({"kubernetes.io/os": "linux"})


def decoded(path: Path) -> list[Decoded]:
    with path.open("rb") as lines:
        return [decode_event(item.event, ORIGIN) for item in read_log(lines) if isinstance(item, LoggedEvent)]


def test_real_nodes_that_stream_say_it_of_the_systems_images_and_of_no_application(study_data: Path) -> None:
    found = decoded(study_data / "gke-streaming-on" / "events-8.jsonl")
    streamings = [one for each in found for one in each.others if isinstance(one, Streaming)]
    known = StreamedPulls(streamings, {})
    pulls = [one for each in found for one in each.pulls if one.outcome is Outcome.PULLED]
    assert len({one.node for one in streamings}) == 8
    assert all(one.streamed_share in (None, 1.0) and one.digest for one in streamings)
    assert sum(bool(one.combined) for one in streamings) == 8
    of_system = Counter(known.of(one) for one in pulls if one.job is None)
    assert of_system[Streamed.STREAMED] > 30
    of_jobs = {(one.repository or "").partition("/")[0]: known.of(one) for one in pulls if one.job is not None}
    assert of_jobs == {"ghcr.io": Streamed.WHOLE, "us-central1-docker.pkg.dev": Streamed.UNKNOWN}


def test_real_nodes_without_streaming_pull_whole(study_data: Path) -> None:
    found = decoded(study_data / "gke-streaming-off" / "events-8.jsonl")
    assert [one for each in found for one in each.others] == []
    known = StreamedPulls([], {})
    assert {known.of(one) for each in found for one in each.pulls} == {Streamed.WHOLE}
