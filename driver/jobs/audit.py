"""The loss audit: the pulls that a job must have made, against what events, pod status and store account for. Pure."""

from collections.abc import Iterable, Set

import msgspec

from pullstudy.pulls.record import WITNESS_PREFIX, Outcome, PullRecord
from pullstudy.pulls.witness import PodWitness, had_its_image
from pullstudy.store.embedded.ledger import Audit, JobRow

Place = tuple[str, str]  # pod_uid, container

PRESENT = frozenset((Outcome.PULLED, Outcome.CACHED))
FAILED = frozenset((Outcome.FAILED,))


def places(pulls: Iterable[PullRecord], outcomes: frozenset[Outcome] = PRESENT) -> set[Place]:
    """The containers of which there is a pull with one of the outcomes."""
    return {
        (pull.pod_uid, pull.container)
        for pull in pulls
        if pull.pod_uid is not None and pull.container is not None and pull.outcome in outcomes
    }


def make_audit(
    job: JobRow,
    *,
    rows: list[PodWitness],
    events: Iterable[PullRecord],
    stored: Iterable[PullRecord],
    taken: Set[str] = frozenset(),
) -> Audit:
    """Expected is one pull a container: of every pod there was, and of every node of the size even where none was.

    A pull that failed to its end is accounted for as well: it is known. Of the pods that were ``taken`` away, by uid,
    a pull is expected only where one is known: it may never have come to it.
    """
    known = [(row.pod_uid, row.container) for row in rows]
    kept, events = with_containers(stored, known), with_containers(events, known)
    by_event = [pull for pull in kept if not pull.event_uid.startswith(WITNESS_PREFIX)]
    present = places(by_event)
    recovered = places(pull for pull in kept if pull.event_uid.startswith(WITNESS_PREFIX)) - present
    failed = places(by_event, FAILED) - present - recovered
    known_places = present | recovered | failed
    expected = [row for row in rows if row.pod_uid not in taken or (row.pod_uid, row.container) in known_places]
    return Audit(
        cluster=job.cluster,
        job=job.job,
        expected=max(job.size, len(expected)),
        events=len(places(events, PRESENT | FAILED)),
        pod_status=sum(map(had_its_image, rows)),
        stored=len(present | failed),
        recovered=len(recovered),
    )


def with_containers(pulls: Iterable[PullRecord], known: Iterable[Place]) -> list[PullRecord]:
    """An event combined from similar ones names no container: the only one of a study's pod is meant."""
    containers = dict(known)
    return [
        msgspec.structs.replace(pull, container=containers[pull.pod_uid])
        if pull.container is None and pull.image is not None and pull.pod_uid in containers
        else pull
        for pull in pulls
    ]


def say(audits: Iterable[Audit]) -> str:
    """``256/256 accounted for, 3 recovered from pod status``."""
    rows = list(audits)
    accounted, expected = sum(row.accounted for row in rows), sum(row.expected for row in rows)
    recovered = sum(row.recovered for row in rows)
    tail = f", {recovered} recovered from pod status" if recovered else ""
    return f"{accounted}/{expected} accounted for{tail}"
