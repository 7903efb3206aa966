"""When each layer of a pull was where: the model's closed formula of a whole pull, told layer by layer.

The formula says when a pull ends (``pull_model``). That end is kept here, and the layers are laid out so that they lead
to it. Downloads go in rounds of ``parallel_downloads``: one latency, then the round's bytes, shared fairly. Layers are
unpacked one after the other, each as soon as it is there and the one before is committed. The formula takes them for
infinitely fine: a layer that would come too late for the end that it gives was fetched earlier by what is missing.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

from pullstudy.sim.model.disk import Phase, phases
from pullstudy.sim.model.images import ImageLayer
from pullstudy.sim.model.parameters import VolumeParameters
from pullstudy.sim.model.pull_model import PullCourse, Unpacking

_SAME_SECONDS = 1e-9  # what rounding makes of equal times


@dataclass(frozen=True, slots=True)
class LayerTimes:
    """Of one layer that was fetched, in the clock's seconds, each at or after the one before it."""

    layer: ImageLayer
    asked_at: float  # for a download's turn
    sent_at: float  # its request
    answered_at: float  # its first byte
    there_at: float  # its last byte; to verify and write it takes no time in the model
    apply_at: float
    applied_at: float
    committed_at: float


def layer_times(course: PullCourse) -> list[LayerTimes]:
    """The lowest layer first; the last one is committed when the pull ends."""
    unpacking = course.unpacking
    if unpacking is None:
        return []
    works = _works(unpacking)
    left = list(accumulate(work.seconds for work in reversed(works)))[::-1]  # until the end, from each layer's turn on
    waited_for_bytes = unpacking.begin_at + left[0] < course.ended_at - _SAME_SECONDS
    free_at = unpacking.begin_at
    times = []
    for place, (work, planned) in enumerate(zip(works, _downloads(course.resolved_at, unpacking), strict=True)):
        latest_at = max(course.resolved_at, course.ended_at - left[place])
        last = place == len(works) - 1
        there_at = latest_at if last and waited_for_bytes else min(planned.there_at, latest_at)
        download = planned.ending_at(there_at, course.resolved_at)
        begin_at = min(max(there_at, free_at), course.ended_at)
        free_at = course.ended_at if last else min(begin_at + work.seconds, course.ended_at)
        times.append(
            LayerTimes(
                layer=unpacking.missing.layers[place],
                asked_at=course.resolved_at,
                sent_at=download.sent_at,
                answered_at=download.answered_at,
                there_at=there_at,
                # While another pull of this node has the volume, the first layer's unpacking stands still.
                apply_at=begin_at if place else there_at,
                applied_at=max(begin_at, free_at - work.commit_seconds),
                committed_at=free_at,
            )
        )
    return times


@dataclass(frozen=True, slots=True)
class _Work:
    seconds: float  # with the commit
    commit_seconds: float


def _works(unpacking: Unpacking) -> list[_Work]:
    sizes = tuple(layer.unpacked_bytes for layer in unpacking.missing.layers)
    pauses = unpacking.pauses
    shares = _shares(unpacking.volume, sizes, unpacking.dirty_bytes)
    return [_Work(share.seconds * pauses, share.commit_seconds * pauses) for share in shares]


@lru_cache(maxsize=256)
def _shares(volume: VolumeParameters, sizes: tuple[int, ...], dirty_bytes: float) -> list[_Work]:
    """What each layer's bytes take of the unpacking: as in the formula, commits are spread over the bytes."""
    total, mean_bytes = sum(sizes), sum(sizes) / len(sizes)
    stretches, _ = phases(volume, total, dirty_bytes, mean_bytes)
    marks = [_until(upto, stretches, mean_bytes) for upto in (0, *accumulate(sizes))]
    return [
        _Work(after.seconds - before.seconds, after.commit_seconds - before.commit_seconds)
        for before, after in pairwise(marks)
    ]


def _until(upto_bytes: float, stretches: Iterable[Phase], mean_bytes: float) -> _Work:
    """What unpacking so many bytes has taken."""
    seconds = commit_seconds = 0.0
    for phase in stretches:
        taken = min(upto_bytes, phase.size_bytes)
        if taken > 0:
            lasted = phase.seconds * taken / phase.size_bytes
            seconds += lasted
            commit_seconds += min(lasted, phase.commit_seconds * taken / mean_bytes)
            upto_bytes -= taken
    return _Work(seconds, commit_seconds)


@dataclass(frozen=True, slots=True)
class _Download:
    sent_at: float
    answered_at: float
    there_at: float

    def ending_at(self, there_at: float, resolved_at: float) -> "_Download":
        """The same, earlier or later: the wait for its turn gives way before its latency and its bytes do."""
        if there_at >= self.there_at:
            return _Download(self.sent_at, self.answered_at, there_at)
        latency = self.answered_at - self.sent_at
        sent_at = max(resolved_at, self.sent_at - (self.there_at - there_at))
        return _Download(min(sent_at, there_at), min(sent_at + latency, there_at), there_at)


def _downloads(resolved_at: float, unpacking: Unpacking) -> Iterator[_Download]:
    """In the order of the image, a round after the other."""
    layers, at_once = unpacking.missing.layers, unpacking.parallel_downloads
    all_bytes = unpacking.missing.compressed_bytes
    seconds_a_byte = (unpacking.downloaded_at - resolved_at) / all_bytes if all_bytes else 0.0
    begins_at = resolved_at
    for first in range(0, len(layers), at_once):
        sizes = [layer.compressed_bytes for layer in layers[first : first + at_once]]
        answered_at = begins_at + unpacking.latency_seconds
        for ends in _shared_fairly(sizes):
            yield _Download(begins_at, answered_at, answered_at + ends * seconds_a_byte)
        begins_at = answered_at + sum(sizes) * seconds_a_byte


def _shared_fairly(sizes: Sequence[int]) -> list[float]:
    """How many bytes have come in all when each of these downloads ends that go side by side."""
    by_size = sorted(sizes)
    done: dict[int, float] = {}
    for place, size in enumerate(by_size):
        done[size] = float(sum(by_size[:place]) + size * (len(by_size) - place))
    return [done[size] for size in sizes]
