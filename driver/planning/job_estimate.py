"""How long a job takes, estimated: its image's bytes, and what the control plane takes for its pods.

The controllers of kube-controller-manager make so many calls a second, each for itself: at 256 nodes a job's pods are
made within 11 s and collected within 24 s, which all of its nodes wait for.
"""

from dataclasses import replace

import msgspec

from driver.planning.image_sizes import unpacked_bytes
from driver.planning.study import Images, KwokPlan, SimPlan, Study
from pullstudy.sim.model.parameters import EKS, PROFILES, ControlPlaneSettings, override

# Read off the upstream logs (c5a.4xlarge, 4 to 16 nodes): a job takes 14.7 s for 1.18 GB and 153 s for 19.03 GB.
JOB_BASE_SECONDS = 6.0
JOB_SECONDS_PER_BYTE = 7.7e-9
UNKNOWN_JOB_SECONDS = 60.0  # for images whose size nothing tells
BETWEEN_JOBS_SECONDS = 5.0  # deletion, cache clearing, of real nodes


class JobPace(msgspec.Struct, frozen=True, kw_only=True):
    """What of a provider and a study decides how long its jobs take."""

    images: Images = Images()
    control: ControlPlaneSettings = EKS.control
    speed: float = 1.0  # seconds of the model a second
    between_seconds: float = BETWEEN_JOBS_SECONDS


def job_pace(study: Study, provider: str) -> JobPace:
    """Of a loaded study there."""
    if provider == "sim":
        # Its caches are cleared at once, and its time stands still while nothing is to come.
        return JobPace(images=study.images, control=_control(study.sim), between_seconds=0.0)
    if provider == "kwok":
        control = replace(_control(study.kwok), controller_qps=study.kwok.controller_qps)
        return JobPace(images=study.images, control=control, speed=study.kwok.speed)
    return JobPace(images=study.images)


def _control(plan: SimPlan | KwokPlan) -> ControlPlaneSettings:
    return override(PROFILES[plan.profile], plan.changes).control


def estimated_job_seconds(image: str, size: int, pace: JobPace) -> float:
    """From its creation to the next job's, on ``size`` nodes."""
    control = pace.control
    size_bytes = unpacked_bytes(pace.images, image)
    pull = UNKNOWN_JOB_SECONDS if size_bytes is None else JOB_BASE_SECONDS + JOB_SECONDS_PER_BYTE * size_bytes
    made = _calls_seconds(control, size * control.job_calls_per_pod)
    collected = _calls_seconds(control, size * control.collector_calls_per_pod)
    return pull / pace.speed + made + collected + pace.between_seconds


def _calls_seconds(control: ControlPlaneSettings, calls: int) -> float:
    """A token bucket's: the burst at once, the rest at its rate."""
    return max(0, calls - control.controller_burst) / control.controller_qps
