"""What is foretold of a job, held against the simulator itself."""

import math
import random
from datetime import UTC, datetime
from statistics import fmean, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullstudy.sim.calibration.experiment import run_study
from pullstudy.sim.cluster import ClusterSettings
from pullstudy.sim.model.egress import Egress
from pullstudy.sim.model.images import describe
from pullstudy.sim.model.parameters import EKS, Changes, ModelParameters, override
from pullstudy.sim.model.pull_model import Missing
from pullstudy.sim.prediction.job_prediction import predict_job
from pullstudy.sim.prediction.job_trial import ClusterTrial
from pullstudy.sim.prediction.quantities import of_pairs
from pullstudy.sim.prediction.registry_load import registry_load
from pullstudy.sim.prediction.transfers import transfers
from pullstudy.sim.prediction.usual_spread import USUAL, with_spread
from pullstudy.sim.time.clock import VirtualClock

SPREAD = {"pull_sigma": 0.08, "cluster_sigma": 0.0}  # what clusters differ by would take many of them to agree
FEW, MANY = "registry/x:9-layers-size-1176249324-bytes", "registry/x:125-layers-size-10902729561-bytes"
SLOW_REGISTRY: Changes = {"registry": {"egress_bytes_per_second": 4e6}, "spread": SPREAD}


def missing(image: str) -> Missing:
    return Missing.of(describe(image), frozenset())


def model(changes: Changes) -> ModelParameters:
    return override(EKS, changes)


@pytest.mark.parametrize("nodes", [4, 40])
@pytest.mark.parametrize("image", [FEW, MANY])
@pytest.mark.parametrize(
    "changes",
    [{"spread": SPREAD}, SLOW_REGISTRY, {"spread": {"job_sigma": 0.02, "node_sigma": 0.05}}],
    ids=["ordinary", "slow registry", "jobs and nodes differ"],
)
def test_jobs_are_tried_as_the_simulator_runs_them(nodes: int, image: str, changes: Changes) -> None:
    parameters = model(changes)
    cluster = ClusterTrial(parameters, nodes, random.Random(1))
    tried = [cluster.job(missing(image)) for _ in range(60)]
    ran = run_study(ClusterSettings("sim-x", nodes, seed=2, parameters=parameters), [image] * 12)
    pulls = fmean(median(job.pull_seconds) for job in tried)
    assert pulls == pytest.approx(fmean(job.median_pull_seconds for job in ran), rel=0.03)
    slowest = fmean(max(job.pull_seconds) for job in tried)
    assert slowest == pytest.approx(fmean(max(job.pull_seconds) for job in ran), rel=0.06)
    makespans = fmean(job.makespan_seconds for job in tried)
    assert makespans == pytest.approx(fmean(job.makespan_seconds for job in ran), rel=0.04)


def test_some_of_a_jobs_pulls_are_as_all_of_them() -> None:
    source = random.Random(1)
    for changes in ({"spread": SPREAD}, SLOW_REGISTRY):
        clusters = [ClusterTrial(model(changes), 64, source) for _ in range(40)]
        whole = fmean(seconds for each in clusters for seconds in each.job(missing(FEW)).pull_seconds)
        some = fmean(seconds for each in clusters for seconds in each.some_pulls(missing(FEW), 6))
        assert some == pytest.approx(whole, rel=0.03)


@given(
    st.lists(st.tuples(st.floats(0, 20), st.floats(1, 500)), min_size=1, max_size=12),
    st.floats(1, 100),
    st.floats(1, 100),
)
def test_downloads_end_as_on_the_simulators_egress(
    downloads: list[tuple[float, float]], total: float, each: float
) -> None:
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    egress, ends = Egress(clock, total, each), dict.fromkeys(range(len(downloads)), math.nan)
    for place, (begin, count) in enumerate(downloads):
        note = lambda place=place: ends.update({place: clock.now})  # noqa: E731
        clock.call_at(begin, lambda count=count, note=note: egress.download(count, note))
    clock.run_until(1e9)
    assert transfers(downloads, total, each).ends == pytest.approx(list(ends.values()), rel=1e-6, abs=1e-6)


def test_the_busiest_second_has_all_bytes_of_one_that_comes_within_it() -> None:
    assert transfers([(0.2, 50.0), (3.1, 30.0)], 1000, 1000).busiest_second_bytes == pytest.approx(50, abs=1)
    assert transfers([(0.0, 500.0)], 100, 1000).busiest_second_bytes == pytest.approx(100, abs=1)


def test_the_same_seed_foretells_the_same() -> None:
    first, again = (predict_job([EKS], missing(FEW), 4, seed=7) for _ in range(2))
    assert first == again
    assert first != predict_job([EKS], missing(FEW), 4, seed=8)


def test_a_model_that_is_known_but_roughly_foretells_wider_bounds() -> None:
    sure = predict_job([EKS], missing(FEW), 8, seed=1).pull.p50
    rates = (0.7, 0.85, 1.0, 1.2, 1.4)
    draws = [model({"volume": {"unpack_bytes_per_second": rate * 358e6}}) for rate in rates]
    rough = predict_job(draws, missing(FEW), 8, seed=1).pull.p50
    assert rough.high - rough.low > 5 * (sure.high - sure.low)
    assert rough.low < sure.low < sure.high < rough.high


def test_what_a_model_does_not_say_of_spread_is_taken_as_usual() -> None:
    assert with_spread(EKS).spread == USUAL
    told = model({"spread": {"cluster_sigma": 0.01}})
    assert with_spread(told) == told


def test_quantiles_of_one_cluster_are_told_from_pairs_on_many() -> None:
    """Clusters differ by 5%, values of one by 2%: p95 is 1.0334 times the cluster's median."""
    source = random.Random(3)
    centres = [100 * source.lognormvariate(0, 0.05) for _ in range(4000)]
    pairs = [(each * source.lognormvariate(0, 0.02), each * source.lognormvariate(0, 0.02)) for each in centres]
    found = of_pairs(pairs)
    assert found.p50.value == pytest.approx(100, rel=0.005)
    assert (found.p50.low, found.p50.high) == pytest.approx((92.1, 108.6), rel=0.01)
    assert found.p95.value / found.p50.value == pytest.approx(1.0334, abs=0.003)


def test_a_registry_that_sends_as_fast_as_needed_bounds_no_pull() -> None:
    """400 MB on 32 nodes: an egress of a quarter of what is needed makes pulls longer, of all of it not."""
    image = Missing.of(describe("registry/app:1"), frozenset())
    load = registry_load(EKS, image, 32, seed=1)
    assert load.bytes == 32 * image.compressed_bytes
    assert load.requests.blobs == 32 * len(image.layers)
    at = {
        share: predict_job(
            [override(EKS, {"registry": {"egress_bytes_per_second": share * load.needed_egress_bytes_per_second}})],
            image,
            32,
            seed=1,
        ).pull.p50.value
        for share in (0.25, 1.0, 100.0)
    }
    assert at[1.0] == pytest.approx(at[100.0], rel=0.04)
    assert at[0.25] > 1.5 * at[100.0]
    assert min(slow.times_as_long for slow in load.slowed) > 1


def test_refused_pulls_are_tried_as_the_simulator_refuses_them() -> None:
    parameters = model({"registry": {"requests_per_second": 20.0, "burst_requests": 20.0}, "spread": SPREAD})
    tried = [ClusterTrial(parameters, 40, random.Random(seed)).job(missing(FEW)) for seed in range(20)]
    ran = run_study(ClusterSettings("sim-x", 40, seed=2, parameters=parameters), [FEW] * 6)
    assert all(job.refused for job in tried)
    makespans = fmean(job.makespan_seconds for job in tried)
    assert makespans == pytest.approx(fmean(job.makespan_seconds for job in ran), rel=0.15)
    assert registry_load(parameters, missing(FEW), 40, 1).refusals
    assert registry_load(EKS, missing(FEW), 40, 1).refusals is None
