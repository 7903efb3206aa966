"""What must hold of the model whatever its numbers, and how well it fits the real logs."""

import random
from dataclasses import replace
from math import log
from pathlib import Path
from statistics import stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullstudy.sim.api.admission import admit_job
from pullstudy.sim.api.resources import JOBS
from pullstudy.sim.calibration.experiment import JobRun, job_manifest, run_study
from pullstudy.sim.cluster import ClusterSettings, SimCluster
from pullstudy.sim.model.disk import Disk, unpack
from pullstudy.sim.model.egress import Egress
from pullstudy.sim.model.images import describe
from pullstudy.sim.model.parameters import EKS, GB, MB, PROFILES, VolumeParameters, override
from pullstudy.sim.model.pull_model import Missing, PullModel, nominal_seconds
from pullstudy.sim.time.clock import VirtualClock
from tests.sim.conftest import IMAGE, START_AT

RATES = st.floats(1 * MB, 5000 * MB)
SIZES = st.floats(0, 100 * GB)
VOLUMES = st.builds(
    VolumeParameters,
    unpack_bytes_per_second=RATES,
    write_bytes_per_second=RATES,
    dirtyable_bytes=st.floats(0, 500 * GB),
    commit_bytes_per_second=st.none() | RATES,
)


@given(VOLUMES, SIZES, st.floats(0, 50 * GB))
def test_nothing_is_written_faster_than_the_volume_or_the_cache_take_it(
    volume: VolumeParameters, size: float, dirty: float
) -> None:
    done = unpack(volume, size, dirty)
    assert done.seconds >= size / volume.unpack_bytes_per_second * (1 - 1e-9)
    written_back = dirty + size - done.dirty_bytes
    assert written_back <= volume.write_bytes_per_second * done.busy_seconds * (1 + 1e-9) + 1
    assert 0 <= done.busy_seconds <= done.seconds * (1 + 1e-9)
    assert done.dirty_bytes <= max(dirty, volume.dirtyable_bytes * volume.dirty_ratio) * (1 + 1e-9) + 1


@given(VOLUMES, SIZES, SIZES)
def test_a_larger_image_never_unpacks_faster(volume: VolumeParameters, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert unpack(volume, small).seconds <= unpack(volume, large).seconds * (1 + 1e-9)


@given(st.integers(2, 300), st.integers(0, 20 * GB), st.integers(0, 20 * GB))
def test_a_larger_image_never_pulls_faster(layers: int, one: int, other: int) -> None:
    small, large = sorted((one, other))
    seconds = [
        nominal_seconds(EKS, describe(f"registry/x:{layers}-layers-size-{size}-bytes")) for size in (small, large)
    ]
    assert seconds[0] <= seconds[1] + 1e-6


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(1, 10 * GB)), min_size=1, max_size=30), RATES, RATES)
def test_downloads_share_the_egress_and_none_is_faster_than_its_link(
    downloads: list[tuple[float, float]], total: float, each: float
) -> None:
    clock = VirtualClock(START_AT)
    egress = Egress(clock, total, each)
    ends: dict[int, float] = {}
    for number, (begin, size) in enumerate(downloads):

        def start(number: int = number, size: float = size) -> None:
            egress.download(size, lambda: ends.setdefault(number, clock.now))

        clock.call_at(begin, start)
    while (due := clock.next_of_any()) is not None:
        clock.run_next(due)
    assert len(ends) == len(downloads)
    for number, (begin, size) in enumerate(downloads):
        assert ends[number] - begin >= size / each - 1e-6
    whole = sum(size for _, size in downloads)
    assert max(ends.values()) - min(begin for begin, _ in downloads) >= whole / total - 1e-6


def test_equal_downloads_end_together_when_the_egress_is_the_limit() -> None:
    clock = VirtualClock(START_AT)
    egress = Egress(clock, total=100.0, each=100.0)
    ends: list[float] = []
    for _ in range(4):
        egress.download(50.0, lambda: ends.append(clock.now))
    clock.run_until(100)
    assert ends == pytest.approx([2.0] * 4)


def test_a_throttled_registry_slows_all_nodes() -> None:
    def longest(egress_bytes: float) -> float:
        clock = VirtualClock(START_AT)
        parameters = replace(EKS, registry=replace(EKS.registry, egress_bytes_per_second=egress_bytes))
        model = PullModel(clock, parameters, random.Random(0), random.Random(0))
        image = describe("registry.example/other:1")
        ends: list[float] = []
        for _ in range(50):
            done = lambda _: ends.append(clock.now)  # noqa: E731
            model.pull(Missing.of(image, frozenset()), Disk(parameters.volume), 1.0, "job", done)
        while (due := clock.next_of_any()) is not None:
            clock.run_next(due)
        return max(ends)

    size = describe("registry.example/other:1").compressed_bytes
    assert longest(50 * MB) >= 50 * size / (50 * MB)
    assert longest(50 * MB) > longest(50 * GB)


def test_layers_that_are_there_are_not_fetched() -> None:
    image = describe("r/x:9-layers-size-1176249324-bytes")
    held = {layer.digest for layer in image.layers[:5]}
    missing = Missing.of(image, held)
    assert len(missing.layers) == 4
    assert missing.compressed_bytes < image.compressed_bytes


def test_the_rule_for_layers_agrees_with_the_real_manifests(study_data: Path) -> None:
    import json

    manifests = json.loads((study_data / "pulling-aws" / "manifests-config-layers.json").read_text())["manifests"]
    assert len(manifests) == 38
    for tag, manifest in manifests.items():
        real = [layer["size"] for layer in manifest["layers"]]
        made = [layer.compressed_bytes for layer in describe(f"r/x:{tag}").layers]
        assert len(made) == len(real)
        assert made == pytest.approx(real, rel=0.005, abs=4)


def test_parameters_can_be_changed_by_group() -> None:
    changed = override(EKS, {"volume": {"write_bytes_per_second": 1e9}, "kubelet": {"serialize_image_pulls": True}})
    assert changed.volume.write_bytes_per_second == 1e9
    assert changed.kubelet.serialize_image_pulls is True
    assert changed.registry == EKS.registry


def test_a_spread_of_pulls_leaves_the_volume_its_rate_and_one_of_clusters_is_shared_by_their_pulls() -> None:
    def spread(name: str, changes: dict[str, dict[str, float]]) -> list[JobRun]:
        settings = ClusterSettings(name, nodes=16, start_at=START_AT, parameters=override(EKS, changes))
        return run_study(settings, [IMAGE])

    quiet = {"volume": {"sigma": 0.0}, "stragglers": {"probability": 0.0}, "registry": {"latency_sigma": 0.0}}
    (pulls,) = spread("sim-a", {**quiet, "spread": {"pull_sigma": 0.08}})
    assert 0.04 < stdev(map(log, pulls.pull_seconds)) < 0.12
    firsts = {spread(name, {**quiet, "spread": {"cluster_sigma": 0.05}})[0].pull_seconds for name in ("sim-a", "sim-b")}
    assert len(firsts) == 2
    assert all(max(seconds) - min(seconds) < 0.01 for seconds in firsts)


def runs(changes: dict[str, dict[str, float]], nodes: int = 16, images: tuple[str, ...] = (IMAGE,)) -> list[JobRun]:
    settings = ClusterSettings("sim-a", nodes=nodes, start_at=START_AT, parameters=override(EKS, changes))
    return run_study(settings, list(images))


QUIET = {"volume": {"sigma": 0.0}, "stragglers": {"probability": 0.0}, "registry": {"latency_sigma": 0.0}}


def test_the_pulls_of_a_job_share_its_moment_and_a_node_keeps_its_volume() -> None:
    jobs = runs({**QUIET, "spread": {"job_sigma": 0.1}}, images=(IMAGE, IMAGE))
    assert all(max(job.pull_seconds) - min(job.pull_seconds) < 0.01 for job in jobs)
    assert jobs[0].median_pull_seconds != pytest.approx(jobs[1].median_pull_seconds, rel=0.001)
    first, second = runs({**QUIET, "spread": {"node_sigma": 0.1}}, nodes=8, images=(IMAGE, IMAGE))
    assert stdev(map(log, first.pull_seconds)) > 0.03
    assert sorted(first.pull_seconds) == pytest.approx(sorted(second.pull_seconds), rel=0.01)


def test_where_images_are_streamed_a_pull_takes_as_long_whatever_its_bytes() -> None:
    streaming = PROFILES["gke-streaming"]
    images = [describe(f"r/x:9-layers-size-{size}-bytes") for size in (48_702_097, 19_034_736_629)]
    assert {nominal_seconds(streaming, image) for image in images} == {streaming.registry.streamed_seconds}
    (job,) = runs({"registry": {"streamed_seconds": 2.0, "latency_sigma": 0.0}}, nodes=4)
    assert job.median_pull_seconds == pytest.approx(2.0, rel=0.001)


def test_compressed_bytes_take_their_time_beside_the_unpacking() -> None:
    image = describe("registry.example/other:1")
    slow = override(EKS, {"volume": {"decompress_bytes_per_second": 20e6}})
    more = nominal_seconds(slow, image) - nominal_seconds(EKS, image)
    assert more == pytest.approx(image.compressed_bytes / 20e6, rel=0.05)


def test_a_small_layer_commits_sooner_while_the_volume_writes_back() -> None:
    many = describe("r/x:125-layers-size-10902729561-bytes")
    slow = override(EKS, {"volume": {"busy_commit_seconds": 0.4}})
    sooner = override(slow, {"volume": {"commit_bytes_per_second": 600e6}})
    assert nominal_seconds(sooner, many) < nominal_seconds(slow, many)
    few = describe("r/x:9-layers-size-10902729561-bytes")
    assert nominal_seconds(sooner, few) == nominal_seconds(slow, few)


@pytest.mark.parametrize(("nodes", "refused"), [(128, False), (256, True)])
def test_at_256_nodes_of_eks_the_registry_refuses_some_pulls_and_at_128_none(nodes: int, refused: bool) -> None:
    cluster = SimCluster(ClusterSettings("sim-a", nodes, parameters=PROFILES["eks-gp2"]))
    job = admit_job(job_manifest("job", nodes, IMAGE), "default", cluster.identities)
    cluster.api.create(JOBS, job)
    while "completionTime" not in job["status"]:
        due = cluster.clock.next_of_any()
        assert due is not None
        cluster.clock.run_next(due)
    failed = list(cluster.truth.rows(outcome="failed"))
    assert 0 < len(failed) < 20 if refused else not failed
    assert all("429 Too Many Requests" in row["error"] for row in failed)
    assert len({row["pod_uid"] for row in cluster.truth.rows(outcome="pulled")}) == nodes
