"""Which job each pod is of, where several jobs had one name on one cluster.

1. Pods whose records tell one job uid are of one job, and those of different uids of different ones. Such jobs may
   overlap, interleave and pause at will.
2. Where a sweep's ledger has the name, pods without a uid are of its job: a sweep makes each name once.
3. Else, within a run and a namespace, a name is one job's at a time, so that jobs of one name make their pods one after
   the other. Pods are put into order by when each was first seen, and cut between two that cannot be of one job: their
   uids differ; or their completion indices are the same (a pod that replaces a failed one has its index: without a uid
   it counts as another job's); or a container of one name has two images, which no Job can have; or a job of that name
   completed in between. Of the ways to cut that make the fewest jobs, the cuts are where the longest times lie between
   two pods that follow each other.

Init containers and all others of a pod are of its job, whatever their images. Where neither uid, index, image nor a
completion parts two jobs of one name, the records cannot, and they count as one job that paused.

Sources: Kubernetes' job controller (an Indexed Job's pods are called ``<job>-<index>-<5 characters>``); the API's
validation of Jobs (of ``spec.template`` only where pods may be scheduled can change, and that of suspended jobs).
"""

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import pairwise

import msgspec

from pullstudy.analysis.timelines.pods import GatheredPod, keep_finest, timestamp_of
from pullstudy.analysis.timelines.timeline import MomentTimes
from pullstudy.pulls.milestone import Milestone, Moment

_INDEX_AND_SUFFIX = re.compile(r"-(0|[1-9]\d*)-[a-z0-9]{5}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_Scope = tuple[str | None, str | None]  # run and namespace: within one, a name is one job's at a time


@dataclass
class SeparateJob:
    """The pods of one job, and its own moments."""

    uid: str | None
    run: str | None
    namespace: str | None
    pods: list[GatheredPod]
    times: MomentTimes = field(default_factory=dict)

    @cached_property
    def began_at(self) -> datetime:
        """When the first of its pods was first seen; 1970 where no time is known. Asked once all pods are in it."""
        return min((at for pod in self.pods if (at := pod.first_at) is not None), default=_EPOCH)


def separate(
    job: str, pods: Iterable[GatheredPod], own: Iterable[Milestone], *, made_once: bool = False
) -> list[SeparateJob]:
    """The jobs that had the name ``job``, in order of time.

    ``own`` are the jobs' own moments, which are no pod's. ``made_once``: no uid means the one that is known.
    """
    own = list(own)
    scopes: dict[_Scope, list[GatheredPod]] = defaultdict(list)
    for pod in pods:
        scopes[pod.run, pod.namespace].append(pod)
    if made_once:
        parts = [[pod for found in scopes.values() for pod in found]]
    else:
        parts = [part for scope, found in scopes.items() for part in _parts(job, found, _ends(own, scope))]
    jobs = sorted(_joined(parts), key=lambda each: each.began_at)
    owners = _Owners(jobs)
    for milestone in own:
        owners.give(milestone)
    return jobs


def completion_index(job: str, pod: str) -> str | None:
    """The index of an Indexed Job's pod, by its name."""
    match = _INDEX_AND_SUFFIX.fullmatch(pod.removeprefix(job))
    return match[1] if match else None


def _ends(own: Iterable[Milestone], scope: _Scope) -> list[datetime]:
    """When jobs of the name completed."""
    completed = (each for each in own if each.moment is Moment.JOB_COMPLETED)
    return sorted(each.at for each in completed if _may_be_of(each, *scope))


def _may_be_of(milestone: Milestone, run: str | None, namespace: str | None) -> bool:
    return milestone.run == run and (milestone.namespace == namespace or None in (milestone.namespace, namespace))


def _joined(parts: Iterable[list[GatheredPod]]) -> list[SeparateJob]:
    """The jobs of the parts: all of one uid are one job, and in a part no uid means the uid that others have."""
    jobs: dict[str | int, SeparateJob] = {}
    for place, part in enumerate(parts):
        known = next((pod.job_uid for pod in part if pod.job_uid is not None), None)
        for pod in part:
            uid = pod.job_uid or known
            identity = uid or place
            if identity not in jobs:
                jobs[identity] = SeparateJob(uid, pod.run, pod.namespace, [])
            jobs[identity].pods.append(pod)
    return list(jobs.values())


class _Seen(msgspec.Struct, frozen=True):
    """A pod, when it was first seen, and what tells its job from others."""

    at: datetime
    pod: GatheredPod
    index: str | None
    images: Mapping[str, str]


def _parts(job: str, pods: list[GatheredPod], ends: Sequence[datetime]) -> list[list[GatheredPod]]:
    """Pods of one scope, cut between those that cannot be of one job; uncut where uids tell all of it."""
    if all(pod.job_uid is not None for pod in pods):
        return [pods]
    ordered = _in_order(job, pods)
    over = [place for place, (one, other) in enumerate(pairwise(ordered), 1) if _any_between(ends, one.at, other.at)]
    blocks = [ordered[start:end] for start, end in pairwise([0, *over, len(ordered)])]
    return [[seen.pod for seen in part] for block in blocks for part in _cut(block)]


def _in_order(job: str, pods: list[GatheredPod]) -> list[_Seen]:
    """By when they were first seen; those of whom that is unknown come last."""
    firsts = [pod.first_at for pod in pods]
    last = max((at for at in firsts if at is not None), default=_EPOCH)
    seen = [
        _Seen(at or last, pod, completion_index(job, pod.name), pod.images)
        for at, pod in zip(firsts, pods, strict=True)
    ]
    return sorted(seen, key=lambda each: (each.at, each.pod.name))


def _any_between(times: Sequence[datetime], start: datetime, end: datetime) -> bool:
    return bisect_left(times, start) < bisect_left(times, end)


def _cut(pods: Sequence[_Seen]) -> list[Sequence[_Seen]]:
    """Into the fewest parts; each cut, of the places where it can be, where the longest time passed."""
    starts = [0]
    for first in _earliest_cuts(pods):
        last = _first_conflict(pods, starts[-1])
        starts.append(max(range(first, last + 1), key=lambda place: pods[place].at - pods[place - 1].at))
    return [pods[start:end] for start, end in pairwise([*starts, len(pods)])]


def _earliest_cuts(pods: Sequence[_Seen]) -> list[int]:
    """Cuts as early as they can be where there are as few as there can be: found from the end."""
    backwards = pods[::-1]
    cuts: list[int] = []
    place = _first_conflict(backwards, 0)
    while place < len(pods):
        cuts.append(len(pods) - place)
        place = _first_conflict(backwards, place)
    return cuts[::-1]


def _first_conflict(pods: Sequence[_Seen], start: int) -> int:
    """The place of the first pod from ``start`` on that cannot be of one job with all before it; else the end."""
    part = _Part()
    for place in range(start, len(pods)):
        if not part.take(pods[place]):
            return place
    return len(pods)


class _Part:
    """What the pods taken so far have that stands against others; each with its job's uid, where that is told."""

    def __init__(self) -> None:
        self._uid: str | None = None
        self._indices: dict[str, str | None] = {}
        self._images: dict[str, tuple[str, str | None]] = {}

    def take(self, seen: _Seen) -> bool:
        """Whether the pod may be of one job with these; if so, it is one of them from then on."""
        uid = seen.pod.job_uid
        if not self._may_take(seen, uid):
            return False
        self._uid = self._uid or uid
        if seen.index is not None:
            self._indices[seen.index] = uid
        self._images.update((name, (image, uid)) for name, image in seen.images.items())
        return True

    def _may_take(self, seen: _Seen, uid: str | None) -> bool:
        if uid is not None and self._uid is not None and uid != self._uid:
            return False
        if seen.index in self._indices and not _same(self._indices[seen.index], uid):
            return False
        for name, image in seen.images.items():
            known = self._images.get(name)
            if known is not None and known[0] != image and not _same(known[1], uid):
                return False
        return True


def _same(uid: str | None, other: str | None) -> bool:
    """Whether both are told to be of one job."""
    return uid is not None and uid == other


class _Owners:
    """Whose each of the jobs' own moments is."""

    def __init__(self, jobs: Sequence[SeparateJob]) -> None:
        """The jobs in order of when they began."""
        self._jobs = jobs
        self._begun = [job.began_at for job in jobs]
        self._by_uid = {job.uid: job for job in jobs if job.uid is not None}

    def give(self, milestone: Milestone) -> None:
        """To the job that it is of; to none where there is none."""
        owner = self._owner(milestone)
        if owner is None:
            return
        if owner.uid is None and milestone.job_uid is not None:
            owner.uid = milestone.job_uid
            self._by_uid[owner.uid] = owner
        keep_finest(owner.times, milestone.moment, timestamp_of(milestone))

    def _owner(self, milestone: Milestone) -> SeparateJob | None:
        """By its uid; else a job completes after its pods began and before the next one's, and is created before."""
        told = self._by_uid.get(milestone.job_uid or "")
        if told is not None or (milestone.job_uid is not None and len(self._by_uid) == len(self._jobs)):
            return told
        candidates = self._earlier(milestone) if milestone.moment is Moment.JOB_COMPLETED else self._later(milestone)
        return next((job for job in candidates if _able(job, milestone)), None)

    def _earlier(self, milestone: Milestone) -> Iterable[SeparateJob]:
        return (self._jobs[place] for place in reversed(range(bisect_right(self._begun, milestone.at))))

    def _later(self, milestone: Milestone) -> Iterable[SeparateJob]:
        second = milestone.at.replace(microsecond=0)  # by the job's status; its pods may be known more precisely
        return (self._jobs[place] for place in range(bisect_left(self._begun, second), len(self._jobs)))


def _able(job: SeparateJob, milestone: Milestone) -> bool:
    return None in (job.uid, milestone.job_uid) and _may_be_of(milestone, job.run, job.namespace)
