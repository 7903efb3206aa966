"""Which of the kubelet's events a runtime's pull belongs to."""

from datetime import timedelta
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pullstudy.analysis.reading.joined_stages import JoinedBy, joined_stages
from pullstudy.pulls.kinds import PULL, PULL_STAGES
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.record import Outcome, PullRecord
from tests.pulls.spans.samples import inside, pull_spans

SAMPLE, _ = inside(pull_spans("g9"))


def stages(name: str, seconds: float = 0.0, **more: Any) -> PullStages:
    shift = timedelta(seconds=seconds)
    times = {"started_at": SAMPLE.started_at + shift, "finished_at": SAMPLE.finished_at + shift}
    return msgspec.structs.replace(SAMPLE, **{"node": "n", "pull": name, **times, **more})


def event(uid: str, seconds: float = 0.01, **more: Any) -> PullRecord:
    known = {"cluster": "c", "node": "n", "image": SAMPLE.image, "outcome": Outcome.PULLED, "count": 1}
    at = SAMPLE.finished_at + timedelta(seconds=seconds)
    known |= {"event_uid": uid, "finished_at": at, "pull_seconds": SAMPLE.wall_seconds}
    return PullRecord(**{**known, **more})


def joined(of: list[PullStages], events: list[PullRecord]) -> list[tuple[str, str | None, JoinedBy | None]]:
    found = joined_stages(
        iter(sorted(of, key=PULL_STAGES.reading_order())), iter(sorted(events, key=PULL.reading_order()))
    )
    return [(each.stages.pull, each.pull.event_uid if each.pull else None, each.by) for each in found]


def test_the_event_of_the_pod_that_the_trace_names_is_taken_and_no_nearer_one() -> None:
    events = [event("near", pod_uid="other"), event("own", 20.0, pod_uid="u")]
    assert joined([stages("p", pod_uid="u")], events) == [("p", "own", JoinedBy.POD)]
    assert joined([stages("p", pod_uid="u")], events[:1]) == [("p", None, None)]


def test_without_a_pod_it_is_the_nodes_event_of_the_image_that_follows_the_answer() -> None:
    others = [
        event("node", node="m"),
        event("image", image="docker.io/other:1"),
        event("cluster", cluster="d"),
        event("cached", outcome=Outcome.CACHED),
        event("early", -1.5),
        event("late", 5.5),
        event("timeless", finished_at=None),
    ]
    assert joined([stages("p")], others) == [("p", None, None)]
    assert joined([stages("p")], [*others, event("own")]) == [("p", "own", JoinedBy.NODE)]
    assert joined([stages("p", node=None)], [event("own")]) == [("p", None, None)]


def test_names_of_one_image_are_one_image() -> None:
    assert joined([stages("p", image="docker.io/library/nginx:1")], [event("own", image="nginx:1")])[0][1] == "own"


def test_of_several_the_nearest_in_end_and_length_is_taken_and_none_twice() -> None:
    assert joined([stages("a"), stages("b", 0.1)], [event("first", 0.09), event("second", 0.12)]) == [
        ("a", "first", JoinedBy.NODE),
        ("b", "second", JoinedBy.NODE),
    ]
    long = event("long", 0.02, pull_seconds=60.0)
    assert joined([stages("a")], [long, event("own", 0.5)]) == [("a", "own", JoinedBy.NODE)]
    assert joined([stages("a"), stages("b", 0.1)], [event("one", 0.11)])[1] == ("b", None, None)


pulls_of_nodes = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 600)), max_size=30)


@given(pulls_of_nodes)
def test_each_pull_has_its_own_event_where_those_of_a_node_are_far_enough_apart(
    chosen: list[tuple[str, float]],
) -> None:
    far = {(node, round(seconds / 7) * 7) for node, seconds in chosen}
    of = [stages(f"{node}{seconds}", seconds, node=node) for node, seconds in far]
    events = [event(f"{node}{seconds}", seconds + 0.02, node=node) for node, seconds in far]
    assert all(pull == uid for pull, uid, _ in joined(of, events))
