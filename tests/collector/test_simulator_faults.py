"""Each way in which the simulator can misbehave, one after the other: nothing is lost, nothing is made."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tests.collector.harness import SETTINGS, collecting, stored_counts, stored_rejects
from tests.collector.simulator import simulator

NODES = 6
# A half-open watch is noticed by its own deadline, here after a third of a second; and lists have several pages.
HASTY = replace(
    SETTINGS,
    watch=replace(
        SETTINGS.watch,
        page_items=50,
        timeout_min_seconds=0.2,
        timeout_max_seconds=0.2,
        deadline_margin_seconds=0.1,
    ),
)
GONE = {"fault": "watch-gone", "resource": "events"}
STEPS: list[list[dict[str, Any]]] = [
    [GONE | {"how": "status"}],
    [GONE | {"how": "line"}],
    [GONE | {"how": "now"}],
    [{"fault": "empty-watches", "times": 7}],
    [{"fault": "truncate-line", "times": 2}],
    [{"fault": "garbage-line"}],
    [{"fault": "drop-watches", "every_events": 3, "times": 3}],
    [{"fault": "drop-watches"}],
    [{"fault": "close-watches"}],
    [{"fault": "half-open"}],
    [{"fault": "stream-error", "code": 500}],
    [{"fault": "stream-error", "code": 504}],
    [{"fault": "stream-error", "code": 429, "retry_after_seconds": 1}],
    [{"fault": "refuse", "code": 429, "on": "watch", "resource": "events", "retry_after_seconds": 1, "times": 3}],
    [{"fault": "refuse", "code": 500, "on": "watch", "resource": "events", "times": 3}],
    [{"fault": "refuse", "code": 401, "on": "watch", "resource": "events", "times": 2}],
    [{"fault": "refuse", "code": 503, "on": "list", "resource": "events", "times": 3}, GONE],
    [{"fault": "compact"}, {"fault": "drop-watches"}],
    [{"fault": "expire-page"}, GONE],
    [{"fault": "expire-page"}, {"fault": "expire-page"}, {"fault": "expire-page"}, GONE],
    [{"fault": "duplicate-list", "resource": "events"}, GONE],
    [{"fault": "lapse-events"}],
    [{"fault": "clock-skew", "node": "*1*", "seconds": 600}, {"fault": "clock-skew", "node": "*2*", "seconds": -600}],
    [{"fault": "delay-events", "seconds": 400, "times": 20}],
    [{"fault": "pull-fails", "kind": "not_found", "times": 4}],
]
AWAY_AT = 5  # the step


def found(directory: Path) -> set[tuple[str, int]]:
    return {(uid, count) for uid, counts in stored_counts(directory).items() for count in counts}


def stored_all(directory: Path, happened: set[tuple[str, int]]) -> bool:
    return found(directory) >= happened


async def test_every_fault_of_the_simulator_leaves_exactly_what_happened(tmp_path: Path) -> None:
    async with simulator(tmp_path, NODES) as sim, collecting(sim.url, tmp_path, HASTY) as running:
        for number, faults in enumerate(STEPS):
            for fault in faults:
                await sim.fault(**fault)
            if number == AWAY_AT:
                await sim.away(1.0)
            await sim.run_job(f"pull-{number}-chonk-r1-a1", NODES, 9 + number)
            await sim.until_pulled(NODES * (number + 1))
            await sim.until_faults_are_spent()
            # An event that lapses before anybody could read it is lost to all: each is stored before the next fault.
            happened = {(pull["event_uid"], pull["count"]) for pull in await sim.truth()}
            await running.until(partial(stored_all, tmp_path, happened))
    assert found(tmp_path) == happened
    assert len(happened) > NODES * len(STEPS)  # the failed pulls too
    assert len(stored_rejects(tmp_path)) == 1  # the line of garbage
