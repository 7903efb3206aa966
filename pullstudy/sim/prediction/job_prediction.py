"""How long a job's pulls and the job itself will take, and how sure that is: the job tried on many clusters.

Each cluster has parameters of its own where a model's are known but roughly (its draws), and a day of its own; each
pull has its own chances. What trials differ by is what the next job will differ by.
"""

import random
from collections.abc import Sequence

import msgspec

from pullstudy.sim.model.parameters import ModelParameters
from pullstudy.sim.model.pull_model import Missing
from pullstudy.sim.prediction.job_trial import ClusterTrial, JobTrial
from pullstudy.sim.prediction.quantities import Bounds, Quantiles, bounds, of_pairs, of_samples

_MOST_PODS = 40_000  # of all trials: some seconds
_FEWEST_CLUSTERS, _MOST_CLUSTERS = 40, 600


class JobPrediction(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds. ``pull`` are quantiles of the pulls of one job, ``makespan`` those of jobs on one cluster.

    Between ``single_pull`` lie nine of ten pulls, between ``single_makespan`` nine of ten jobs, of whichever cluster.
    """

    pull: Quantiles
    single_pull: Bounds
    makespan: Quantiles
    single_makespan: Bounds
    clusters: int  # that were tried, two jobs on each


def predict_job(models: Sequence[ModelParameters], missing: Missing, nodes: int, seed: int) -> JobPrediction:
    """A pod a node. ``models``: the parameters, or a draw of them each. The same for the same arguments, always."""
    clusters = max(_FEWEST_CLUSTERS, min(_MOST_CLUSTERS, _MOST_PODS // (2 * nodes)))
    source = random.Random(f"{seed} {nodes} {missing.compressed_bytes} {missing.unpacked_bytes}")
    pairs: list[tuple[JobTrial, JobTrial]] = []
    for number in range(clusters):
        cluster = ClusterTrial(models[number % len(models)], nodes, source)
        pairs.append((cluster.job(missing), cluster.job(missing)))
    jobs = [job for pair in pairs for job in pair]
    return JobPrediction(
        pull=of_samples([job.pull_seconds for job in jobs]),
        single_pull=bounds([seconds for job in jobs for seconds in job.pull_seconds]),
        makespan=of_pairs([(first.makespan_seconds, second.makespan_seconds) for first, second in pairs]),
        single_makespan=bounds([job.makespan_seconds for job in jobs]),
        clusters=clusters,
    )
