"""A node's volume behind its page cache: fast until too much is dirty, then as fast as the volume writes.

A fluid model of Linux's write-back: bytes are written to the cache at the unpacking rate; above the background
threshold the volume writes them back; at the limit the writer waits for the volume.
"""

from dataclasses import dataclass

from pullstudy.sim.model.parameters import VolumeParameters


@dataclass(frozen=True)
class Unpacked:
    """``dirty_bytes`` are left to be written back; the volume was busy for the last ``busy_seconds`` of ``seconds``."""

    seconds: float
    dirty_bytes: float
    busy_seconds: float


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of unpacking in which nothing changes; ``commit_seconds`` is how long a layer's commit takes in it."""

    size_bytes: float
    seconds: float
    commit_seconds: float


def unpack(
    volume: VolumeParameters, size_bytes: float, dirty_bytes: float = 0.0, layer_bytes: float | None = None
) -> Unpacked:
    """Write ``size_bytes`` into a cache that holds ``dirty_bytes`` already: no faster than cache and volume allow.

    With ``layer_bytes`` each layer of so many is committed at its end. The volume writes back meanwhile: jobs of 125
    layers take as long as those of 9 (EKS, 11 to 19 GB), though their commits take 0.17 s each.
    """
    (quiet, rising, throttled), dirty = phases(volume, size_bytes, dirty_bytes, layer_bytes)
    busy = rising.seconds + throttled.seconds
    return Unpacked(quiet.seconds + busy, dirty, busy)


def phases(
    volume: VolumeParameters, size_bytes: float, dirty_bytes: float, layer_bytes: float | None
) -> tuple[tuple[Phase, Phase, Phase], float]:
    """Of the same unpacking: nothing is written back, the cache fills, the volume sets the pace; and what is dirty."""
    fill, drain = volume.unpack_bytes_per_second, volume.write_bytes_per_second
    quiet_fill = _with_commits(fill, volume.commit_seconds, layer_bytes)
    busy_commit = _busy_commit_seconds(volume, layer_bytes)
    busy_fill = _with_commits(fill, busy_commit, layer_bytes)
    limit = volume.dirtyable_bytes * volume.dirty_ratio
    background = _background_bytes(volume)
    left, dirty = size_bytes, dirty_bytes
    # Nothing is written back yet.
    quiet_bytes = min(left, max(0.0, background - dirty))
    left, dirty = left - quiet_bytes, dirty + quiet_bytes
    quiet = Phase(quiet_bytes, quiet_bytes / quiet_fill, volume.commit_seconds)
    if drain >= busy_fill:
        rising = Phase(left, left / busy_fill, busy_commit)
        return (quiet, rising, Phase(0.0, 0.0, busy_commit)), dirty
    # The cache fills by the difference of the two rates.
    rising_seconds = min(left / busy_fill, max(0.0, limit - dirty) / (busy_fill - drain))
    rising = Phase(rising_seconds * busy_fill, rising_seconds, busy_commit)
    left, dirty = left - rising_seconds * busy_fill, dirty + rising_seconds * (busy_fill - drain)
    throttled = Phase(max(0.0, left), max(0.0, left) / drain, busy_commit)
    return (quiet, rising, throttled), dirty


def paused(volume: VolumeParameters, unpacked: Unpacked, seconds: float) -> Unpacked:
    """The same unpacking with pauses of so many seconds in all, in which the volume writes back what it may."""
    share = unpacked.busy_seconds / unpacked.seconds if unpacked.seconds else 0.0
    written = seconds * share * volume.write_bytes_per_second
    dirty = max(unpacked.dirty_bytes - written, min(unpacked.dirty_bytes, _background_bytes(volume)))
    return Unpacked(unpacked.seconds + seconds, dirty, unpacked.busy_seconds + seconds * share)


def _background_bytes(volume: VolumeParameters) -> float:
    """So much stays dirty: nothing is written back below it, until it expires."""
    expiring = volume.unpack_bytes_per_second * volume.dirty_expire_seconds
    return min(volume.dirtyable_bytes * volume.dirty_background_ratio, expiring)


def _busy_commit_seconds(volume: VolumeParameters, layer_bytes: float | None) -> float:
    """A commit syncs the runtime's database, and a journal in ordered mode writes out the layer's data before it."""
    if layer_bytes is None or volume.commit_bytes_per_second is None:
        return volume.busy_commit_seconds
    return min(volume.busy_commit_seconds, layer_bytes / volume.commit_bytes_per_second)


def _with_commits(rate: float, commit_seconds: float, layer_bytes: float | None) -> float:
    """Bytes a second where after so many of them the writer pauses for a commit."""
    return 1 / (1 / rate + commit_seconds / layer_bytes) if layer_bytes else rate


class Disk:
    """What is dirty on one node, and until when its volume is taken by unpacking."""

    def __init__(self, volume: VolumeParameters) -> None:
        """``volume`` is this node's own."""
        self.volume = volume
        self._dirty = 0.0
        self._as_of = 0.0
        self.free_at = 0.0  # unpacking of images that are pulled side by side goes one after the other

    def dirty_at(self, now: float) -> float:
        """Bytes not yet on the volume: between pulls it writes back without a pause."""
        return max(0.0, self._dirty - max(0.0, now - self._as_of) * self.volume.write_bytes_per_second)

    def busy_at(self, now: float) -> bool:
        """Is the volume writing back so much that metadata writes wait for it?"""
        return self.dirty_at(now) > self.volume.dirtyable_bytes * self.volume.dirty_background_ratio

    def clean_at(self, now: float) -> float:
        """When all that is dirty now will be on the volume: an overlay waits for it when it is unmounted."""
        return now + self.dirty_at(now) / self.volume.write_bytes_per_second

    def settle(self, at: float, dirty_bytes: float) -> None:
        """An unpacking ends at ``at`` and leaves this much dirty."""
        self._dirty, self._as_of, self.free_at = dirty_bytes, at, at
