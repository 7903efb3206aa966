"""What bounds the pulls of an image, and what would help: out of what was measured, with what is assumed.

Means, not medians: means of stages add up to the mean pull.
"""

import math
from collections.abc import Callable, Sequence
from statistics import fmean

import msgspec

from driver.profiling.profile import ProfiledPull
from driver.profiling.zstd_trial import ZstdTrial
from pullstudy.pulls.pulled_layer import PulledLayer
from pullstudy.pulls.stage import Stage


class Verdict(msgspec.Struct, frozen=True):
    """Of one image."""

    stages: tuple[Stage, ...]  # one, or those that each layer costs anew
    seconds: float  # of the mean pull, that they held it up for
    share: float  # of it
    would_help: str  # with what it would save, where that follows from what was measured
    saves_seconds: float | None  # at most, or about, as would_help says
    assumes: str | None
    also: str | None = None  # what else would help

    @property
    def sentence(self) -> str:
        assumed = f" ({self.assumes})" if self.assumes else ""
        more = f"; {self.also}" if self.also else ""
        share = f"{self.share:.0%} ({self.seconds:.2f} s)"
        return f"{_listed(self.stages)} {share}: {self.would_help}{assumed}{more}."


class _Facts:
    """Of the pulls of one image that spans told of."""

    def __init__(self, pulls: Sequence[ProfiledPull], trial: ZstdTrial | None) -> None:
        self.pulls = pulls
        self.trial = trial
        self.wall = fmean(pull.stages.wall_seconds for pull in pulls if pull.stages)
        self.seconds = mean_stages(pulls)
        self.layers = pulls[0].layers
        self.count = len(self.layers)
        self.bytes = sum(layer.layer_bytes or 0 for layer in self.layers)
        self.parallel = bool(pulls[0].stages and pulls[0].stages.parallel)

    @property
    def rate(self) -> float | None:
        """Bytes a second while any came, on average; None where no layer tells when they came."""
        seconds = fmean(_transferring(pull.layers) for pull in self.pulls)
        return self.bytes / seconds if seconds else None

    def total(self, stage: str) -> float:
        """Seconds of all layers together, on average."""
        return fmean(sum(getattr(layer, stage) or 0.0 for layer in pull.layers) for pull in self.pulls)

    def longest(self, stage: str) -> float:
        """Seconds of the layer that it took longest for, on average."""
        return fmean(max((getattr(layer, stage) or 0.0 for layer in pull.layers), default=0.0) for pull in self.pulls)


def _transferring(layers: Sequence[PulledLayer]) -> float:
    """Seconds in which bytes of any of them came."""
    stretches = sorted(
        (layer.transfer_at.timestamp(), layer.transfer_at.timestamp() + layer.transfer_seconds)
        for layer in layers
        if layer.transfer_at is not None and layer.transfer_seconds is not None
    )
    seconds, until = 0.0, -math.inf
    for start, end in stretches:
        seconds += max(0.0, end - max(start, until))
        until = max(until, end)
    return seconds


def mean_stages(pulls: Sequence[ProfiledPull]) -> dict[Stage, float]:
    """Of those that are known of each pull; together the mean pull."""
    told = {stage: [getattr(pull.stages, f"{stage}_seconds") for pull in pulls if pull.stages] for stage in Stage}
    return {stage: fmean(values) for stage, values in told.items() if values and None not in values}


def verdict(pulls: Sequence[ProfiledPull], processors: int, trial: ZstdTrial | None = None) -> Verdict | None:
    """None where no spans told of a pull. ``trial``: of its gzip layers, where it has some."""
    told = [pull for pull in pulls if pull.stages is not None]
    if not told:
        return None
    facts = _Facts(told, trial)
    causes: dict[tuple[Stage, ...], float] = {(stage,): seconds for stage, seconds in facts.seconds.items()}
    if facts.count > 1:
        causes[_PER_LAYER] = sum(facts.seconds.get(stage, 0.0) for stage in _PER_LAYER)
    stages = max(causes, key=lambda each: (causes[each], -len(each)))
    help = _HELP[stages[0]](facts, causes[stages], processors)
    return Verdict(stages, causes[stages], causes[stages] / facts.wall, *help)


_PER_LAYER = (Stage.PREPARE, Stage.INGEST, Stage.COMMIT)
"""What a layer costs however small it is: a snapshot, and its file in the content store."""


_Help = tuple[str, float | None, str | None, str | None]
"""What would help, what it saves, what that assumes, what else would help."""


def _fewer_bytes(facts: _Facts, seconds: float, _: int) -> _Help:
    rate = f" at {facts.rate / 1e6:,.1f} MB/s" if facts.rate else ""
    came = f"{facts.bytes / 1e6:,.1f} MB came{rate}"
    saves = f"a tenth of the bytes less would save about {_saving(seconds / 10, facts)}"
    return f"{came}; {saves}", seconds / 10, "if they go on to come at that rate", None


def _faster_unpacking(facts: _Facts, seconds: float, processors: int) -> _Help:
    zstd, several = _zstd(facts, seconds), _several_at_a_time(facts, seconds, processors)
    if zstd is not None and several is not None:
        text, saves, assumes = zstd
        other, _, assumes_too = several
        return text, saves, assumes, f"{other} ({assumes_too})"
    found = zstd or several
    if found is None:
        return f"what makes unpacking faster saves at most {_saving(seconds, facts)}", seconds, None, None
    return (*found, None)


def _zstd(facts: _Facts, seconds: float) -> tuple[str, float, str] | None:
    """None where nothing was tried, or it would save nothing."""
    trial = facts.trial
    if trial is None or trial.zstd_seconds >= trial.gzip_seconds:
        return None
    gzip = sum(layer.layer_bytes or 0 for layer in facts.layers if "gzip" in (layer.media_type or ""))
    all_layers = (trial.gzip_seconds - trial.zstd_seconds) * gzip / trial.gzip_bytes
    # Of a layer that is unpacked while a lower one is waited for, nothing is saved.
    saves = min(all_layers * seconds / max(facts.total("apply_seconds"), seconds), seconds)
    assumes = f"if containerd's differ as zlib and zstd do here, tried on {trial.gzip_bytes / 1e6:,.1f} MB of a layer"
    return f"zstd in place of gzip would save about {_saving(saves, facts)}", saves, assumes


def _several_at_a_time(facts: _Facts, seconds: float, processors: int) -> tuple[str, float, str] | None:
    """None where it is so, or would not help."""
    saves = seconds - max(facts.longest("apply_seconds"), seconds / processors)
    if facts.parallel or facts.count < 2 or saves < seconds / 10:
        return None
    several = "unpacking several layers at a time (max_concurrent_unpacks of its transfer service)"
    assumes = f"if the disk keeps up with {processors} processors"
    return f"{several} would save at most {_saving(saves, facts)}", saves, assumes


def _fewer_layers(facts: _Facts, seconds: float, _: int) -> _Help:
    each = f"{facts.count} layers, {seconds / max(facts.count, 1) * 1000:.1f} ms each"
    saves = f"half of the layers would save about {_saving(seconds / 2, facts)}"
    assumes = "if it goes with the number of layers and not with their bytes; a faster disk helps too"
    return f"{each}; {saves}", seconds / 2, assumes, None


def _nearer_registry(facts: _Facts, seconds: float, _: int) -> _Help:
    requests = fmean(pull.stages.requests or 0 for pull in facts.pulls if pull.stages)
    waited = f"the registry's answers are waited for ({requests:.0f} requests for layers)"
    return f"{waited}; a mirror nearby saves at most {_saving(seconds, facts)}", seconds, None, None


def _more_at_a_time(facts: _Facts, seconds: float, _: int) -> _Help:
    waited = "layers wait for a turn and nothing is done meanwhile"
    saves = f"more downloads at a time (max_concurrent_downloads) save at most {_saving(seconds, facts)}"
    return f"{waited}; {saves}", seconds, None, None


def _unknown(facts: _Facts, seconds: float, _: int) -> _Help:
    return "the spans do not say what for; containerd's debug log tells more", None, None, None


_HELP: dict[Stage, Callable[[_Facts, float, int], _Help]] = {
    Stage.RESOLVE: _nearer_registry,
    Stage.PREPARE: _fewer_layers,
    Stage.QUEUE: _more_at_a_time,
    Stage.FIRST_BYTE: _nearer_registry,
    Stage.TRANSFER: _fewer_bytes,
    Stage.INGEST: _fewer_layers,
    Stage.WAIT: _more_at_a_time,
    Stage.APPLY: _faster_unpacking,
    Stage.COMMIT: _fewer_layers,
    Stage.FINISH: _unknown,
    Stage.UNATTRIBUTED: _unknown,
}


def _saving(seconds: float, facts: _Facts) -> str:
    return f"{seconds:.2f} s, {seconds / facts.wall:.0%}"


def median_pull(pulls: Sequence[ProfiledPull]) -> ProfiledPull:
    """The one in the middle by its length; of an even number the shorter of the two. Of those with stages, if any."""
    told = [pull for pull in pulls if pull.stages is not None] or pulls
    return sorted(told, key=lambda pull: pull.seconds)[(len(told) - 1) // 2]


def layers_there(pull: ProfiledPull) -> list[PulledLayer]:
    """That were on the node already: other images have them."""
    return [layer for layer in pull.layers if layer.present]


def _listed(stages: Sequence[Stage]) -> str:
    *first, last = map(stage_word, stages)
    return f"{', '.join(first)} and {last} take" if first else f"{last} takes"


def stage_word(stage: Stage) -> str:
    return stage.replace("_", " ")
