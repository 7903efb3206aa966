"""The recorder counts, combines and drops as client-go's does."""

import json
import random
from typing import Any

from pullstudy.sim.api.apiserver import Identities
from pullstudy.sim.api.history import History
from pullstudy.sim.api.resources import EVENTS
from pullstudy.sim.events.recorder import Recorder
from pullstudy.sim.events.registry import EventRegistry
from pullstudy.sim.time.clock import VirtualClock
from tests.sim.conftest import START_AT

POD = {"kind": "Pod", "namespace": "default", "name": "one-0-abcde", "uid": "u1", "apiVersion": "v1"}


class World:
    """A recorder and the events that reached the API."""

    def __init__(self, **settings: Any) -> None:
        self.clock = VirtualClock(START_AT)
        self.history = History(self.clock, 0, 10_000)
        registry = EventRegistry(self.clock, self.history, Identities(random.Random(0)), 3600.0)
        self.recorder = Recorder(self.clock, registry, "kubelet", "node-1", **settings)

    def say(self, message: str, kind: str = "Normal", reason: str = "BackOff", **involved: str) -> Any:
        return self.recorder.record({**POD, **involved}, kind, reason, message)

    def events(self) -> list[Any]:
        return [json.loads(entry.data) for entry in self.history.entries(EVENTS)]


def test_the_same_again_counts_in_place() -> None:
    world = World()
    sent = []
    for _ in range(3):
        sent.append(world.say("x"))
        world.clock.run_until(world.clock.now + 10)
    event = world.events()[0]
    assert len(world.events()) == 1
    assert (event["count"], event["firstTimestamp"], event["lastTimestamp"]) == (
        3, "2026-01-01T00:00:00Z", "2026-01-01T00:00:20Z",
    )  # fmt: skip
    assert [(s.uid, s.count) for s in sent] == [(event["metadata"]["uid"], n) for n in (1, 2, 3)]


def test_from_the_tenth_different_message_on_events_are_combined() -> None:
    world = World()
    for number in range(12):
        world.say(f"message {number}", fieldPath="spec.containers{a}")
        world.clock.run_until(world.clock.now + 1)
    by_message = {event["message"]: event for event in world.events()}
    assert sum(message.startswith("message") for message in by_message) == 9
    combined = [
        event for message, event in by_message.items() if message.startswith("(combined from similar events): ")
    ]
    assert [(event["count"], event["message"]) for event in combined] == [
        (3, "(combined from similar events): message 11")
    ]
    assert "fieldPath" not in combined[0]["involvedObject"]


def test_after_ten_quiet_minutes_events_are_told_apart_again() -> None:
    world = World()
    for number in range(10):
        world.say(f"message {number}")
    world.clock.run_until(601)
    assert world.say("new").lost is None
    assert any(event["message"] == "new" for event in world.events())


def test_the_spam_filter_drops_after_twenty_five_and_the_count_tells() -> None:
    world = World()
    outcomes = [world.say("x").lost for _ in range(30)]
    assert outcomes == [None] * 25 + ["spam filter"] * 5
    assert world.events()[0]["count"] == 25
    world.clock.run_until(300)
    world.say("x")
    assert world.events()[0]["count"] == 31


def test_one_types_chatter_silences_that_type_only() -> None:
    world = World()
    for _ in range(25):
        world.say("Back-off", kind="Normal")
    assert world.say("Successfully pulled", kind="Normal", reason="Pulled").lost == "spam filter"
    assert world.say("Error", kind="Warning", reason="Failed").lost is None
    assert world.say("Successfully pulled", kind="Normal", reason="Pulled", uid="u2").lost is None


def test_events_over_the_rate_come_late_and_over_the_queue_never() -> None:
    world = World(rate=1.0, burst=2)
    sent = [world.say("x", uid=f"pod-{number}", name=f"pod-{number}") for number in range(5)]
    assert [s.uid is not None for s in sent] == [True, True, False, False, False]
    world.clock.run_until(3)
    assert all(s.uid for s in sent)
    many = [world.say("x", uid=f"more-{number}", name=f"more-{number}") for number in range(1010)]
    assert sum(s.lost == "queue full" for s in many) > 0


def test_every_event_has_a_name_of_its_own() -> None:
    world = World()
    for number in range(9):
        world.say(f"message {number}")
    assert len(world.events()) == 9
    for event in world.events():
        name, _, stamp = event["metadata"]["name"].rpartition(".")
        assert name == POD["name"]
        assert int(stamp, 16) // 10**9 == int(START_AT.timestamp())


def test_a_forgotten_object_starts_anew() -> None:
    world = World()
    world.say("x")
    world.recorder.forget("u1")
    assert world.say("x").count == 1
