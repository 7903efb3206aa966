"""How long AWS takes to make and delete the parts of a cluster, for plans: an estimate, never a limit.

Seen by users of EKS: a stack takes 1 to 2 min, a control plane 8 to 12, nodes 2 to 4; back 3 to 6, 2 to 4 and 1.
"""

from driver.planning.eks_plan import Mode
from driver.planning.job_estimate import estimated_job_seconds, job_pace
from driver.planning.plan import Overhead
from driver.planning.study import Study

STACK_SECONDS, PLANE_SECONDS, NODES_SECONDS = 100.0, 660.0, 210.0
NODES_BACK_SECONDS, PLANE_BACK_SECONDS, STACK_BACK_SECONDS = 300.0, 180.0, 50.0
WHOLE = Overhead(
    make_seconds=STACK_SECONDS + PLANE_SECONDS + NODES_SECONDS,
    delete_seconds=NODES_BACK_SECONDS + PLANE_BACK_SECONDS + STACK_BACK_SECONDS,
)
NODES = Overhead(make_seconds=NODES_SECONDS, delete_seconds=NODES_BACK_SECONDS)


def overhead_of(study: Study, size: int) -> Overhead:
    """Of one size: where the control plane is shared, the first one makes it and the last one deletes it."""
    if study.eks.mode is Mode.PER_SIZE:
        return WHOLE
    return Overhead(
        make_seconds=(WHOLE if size == study.sizes[0] else NODES).make_seconds,
        delete_seconds=(WHOLE if size == study.sizes[-1] else NODES).delete_seconds,
    )


def longest_seconds(study: Study) -> float:
    """For which one control plane is up."""
    each, pace = [], job_pace(study, "eks")
    for size in study.sizes:
        jobs = sum(estimated_job_seconds(image, size, pace) for image in study.images.references)
        beside = overhead_of(study, size)
        each.append(beside.make_seconds + study.run.repeats * jobs + beside.delete_seconds)
    return max(each) if study.eks.mode is Mode.PER_SIZE else sum(each)
