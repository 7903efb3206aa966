"""Profiled pulls whose stages are as told."""

from datetime import UTC, datetime, timedelta

from driver.profiling.profile import ProfiledPull
from driver.profiling.usage import Usage
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.pulled_layer import PulledLayer
from pullstudy.pulls.stage import Stage, StageWitness

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
IMAGE = "registry.example/app:1"
GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"


def made_pull(
    layers: tuple[PulledLayer, ...] = (), *, seconds: float | None = None, parallel: bool = False, **stages: float
) -> ProfiledPull:
    """By its stages' seconds; those that are not told are 0. ``seconds`` is the client's: else their sum."""
    wall = sum(stages.values())
    told = {f"{stage}_seconds": stages.get(stage, 0.0) for stage in Stage}
    made = PullStages(
        cluster="n1",
        node="n1",
        image=IMAGE,
        started_at=AT,
        finished_at=AT + timedelta(seconds=wall),
        wall_seconds=wall,
        **told,
        requests=len(layers),
        parallel=parallel,
        complete=True,
        witness=StageWitness.SPANS,
        pull=f"{1:032x}/{1:016x}",
    )
    return ProfiledPull(AT, wall if seconds is None else seconds, Usage(1.0, 0.0, 0, 0, 0), made, layers)


def made_layer(
    position: int = 0,
    *,
    size: int = 1_000_000,
    media_type: str = GZIP,
    transfer: tuple[float, float] | None = None,
    apply: float | None = None,
) -> PulledLayer:
    """``transfer`` is when its bytes began to come, in seconds of the pull, and for how long they came."""
    return PulledLayer(
        cluster="n1",
        image=IMAGE,
        position=position,
        layer_digest=f"sha256:{position:064x}",
        media_type=media_type,
        layer_bytes=size,
        transfer_at=AT + timedelta(seconds=transfer[0]) if transfer else None,
        transfer_seconds=transfer[1] if transfer else None,
        apply_at=AT + timedelta(seconds=5) if apply is not None else None,
        apply_seconds=apply,
        finished_at=AT + timedelta(seconds=9),
        held_seconds=0.1,
        witness=StageWitness.SPANS,
        pull=f"{1:032x}/{1:016x}",
    )
