"""How long the containers of a job are held, so that no node gets two of its pods. Pure.

Anti-affinity keeps pods apart only as long as they live: the scheduler forgets one that is over, and prefers the node
that has the image for the next. The job controller makes pods one after another, so a job's first pods have to live
until its last one has a node. A sleep after the container's start holds them (lifecycle.postStart.sleep), which the
kubelet itself does from Kubernetes 1.30 on: it needs nothing of the image, and comes after the pull, so that every
moment up to the container's own end is what it would have been.
"""

import math

from driver.planning.study import Study
from pullstudy.store.embedded.ledger import PodLives

PODS_PER_SECOND = 20.0  # kube-controller-manager --kube-api-qps, its default
AT_ONCE = 30  # and --kube-api-burst
SPARE_SECONDS = 0.5  # for the scheduler
RESOLUTION_SECONDS = 1.0  # of the times in pod status
# Of a pod whose image is there: the kubelet looks each second at what has ended.
SHORTEST = PodLives(until_started_seconds=0.5, until_finished_seconds=1.5)


def hold_seconds(study: Study, size: int, lives: PodLives | None) -> int:
    """After the container's start. ``lives`` are the shortest that earlier jobs of the image had; None where none was.

    0 where pods live long enough by themselves, or so few are made that all come at once.
    """
    if study.job.hold_seconds != "auto":
        return math.ceil(study.job.hold_seconds)
    needed = max(0, size - AT_ONCE) / PODS_PER_SECOND + SPARE_SECONDS
    known = _less_resolution(lives) if lives else SHORTEST
    if size <= AT_ONCE or known.until_finished_seconds >= needed:
        return 0
    return math.ceil(needed - known.until_started_seconds)


def _less_resolution(lives: PodLives) -> PodLives:
    return PodLives(
        until_started_seconds=max(SHORTEST.until_started_seconds, lives.until_started_seconds - RESOLUTION_SECONDS),
        until_finished_seconds=max(SHORTEST.until_finished_seconds, lives.until_finished_seconds - RESOLUTION_SECONDS),
    )
