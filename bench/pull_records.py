"""Records for benchmarks: pulls of a study as they come from a cluster, the same ones for the same seed."""

from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from pullstudy.pulls.record import Outcome, PullRecord

REPOSITORY = "ghcr.io/converged-computing/container-chonks-run1"
LAYERS = (9, 125)
SIZES = (1176249324, 2770722493, 6836726027, 10902729561, 14968733095, 19034736629)
START = datetime(2026, 1, 1, tzinfo=UTC)


def make_pulls(number: int, *, nodes: int = 256, seed: int = 1) -> list[PullRecord]:
    """So many pulls of ``nodes`` nodes, 12 images, some 3% of them failed, over hours."""
    random = Random(seed)
    return [_pull(position, nodes, random) for position in range(number)]


def _uid(random: Random) -> str:
    return str(UUID(int=random.getrandbits(128), version=4))


def _pull(position: int, nodes: int, random: Random) -> PullRecord:
    image, node = position // nodes, position % nodes
    layers, total = LAYERS[image % 2], SIZES[image // 2 % 6]
    tag = f"{layers}-layers-size-{total}-bytes"
    job = f"pull-{image}-{layers}-layers-size-{total}-r1-a1"
    failed = random.random() < 0.03
    finished_at = START + timedelta(seconds=image * 120, microseconds=random.randrange(90_000_000))
    seconds = round(total / 180e6 * random.uniform(0.97, 1.05), 9)
    return PullRecord(
        cluster="pulling-study",
        run="1",
        size=nodes,
        node=f"ip-192-168-{node // 250}-{node % 250}.us-east-2.compute.internal",
        namespace="default",
        job=job,
        pod=f"{job}-{node}-{random.getrandbits(24):06x}",
        pod_uid=_uid(random),
        container="main",
        image=f"{REPOSITORY}:{tag}",
        repository=REPOSITORY,
        tag=tag,
        outcome=Outcome.FAILED if failed else Outcome.PULLED,
        started_at=None if failed else finished_at - timedelta(seconds=seconds),
        finished_at=finished_at,
        pull_seconds=None if failed else seconds,
        waiting_seconds=None if failed else 0.0,
        image_bytes=None if failed else total,
        error=f'failed to pull and unpack image "{REPOSITORY}:{tag}": 429 Too Many Requests' if failed else None,
        count=1,
        event_uid=_uid(random),
    )
