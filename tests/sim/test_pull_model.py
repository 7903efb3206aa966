"""What must hold of the model whatever its numbers, and how well it fits the real logs."""

import random
from dataclasses import replace
from math import exp, log, sqrt
from pathlib import Path
from statistics import median, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullstudy.sim import calibrate
from pullstudy.sim.calibration.experiment import JobRun, run_study
from pullstudy.sim.cluster import ClusterSettings
from pullstudy.sim.model.disk import Disk, unpack
from pullstudy.sim.model.egress import Egress
from pullstudy.sim.model.images import describe
from pullstudy.sim.model.parameters import EKS, GB, MB, VolumeParameters, override
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
            model.pull(Missing.of(image, frozenset()), Disk(parameters.volume), 1.0, done)
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


def test_the_model_fits_the_aws_logs(study_data: Path) -> None:
    rows = calibrate.compare(calibrate.LOG_SETS[0], study_data)
    assert len(rows) == 18
    assert median(abs(row.pull_error) for row in rows) < 0.015
    assert max(abs(row.pull_error) for row in rows) < 0.05
    for row in rows:
        assert row.real.makespan_seconds is not None
        assert row.model.makespan_seconds == pytest.approx(row.real.makespan_seconds, rel=0.16)


def test_images_that_the_fit_has_not_seen_are_predicted_from_the_aws_logs(study_data: Path) -> None:
    logs = calibrate.LOG_SETS[0]
    errors = [abs(error) for error in calibrate.held_out(logs, calibrate.observed(logs, study_data))]
    assert len(errors) == 18
    assert median(errors) < 0.015
    assert max(errors) < 0.06


def test_spread_is_parted_into_that_within_jobs_and_that_between_them() -> None:
    """Two jobs of two pulls, logarithms -1 and 1 around 0 and around 10: by hand 2 within, (100 - 2) / 2 between."""
    found = calibrate.spread([[exp(-1), exp(1)], [exp(9), exp(11)]])
    assert found is not None
    assert found.within == pytest.approx(sqrt(2))
    assert found.between == pytest.approx(sqrt(49))
    alike = calibrate.spread([[exp(-1), exp(1)], [exp(-1), exp(1)]])
    assert alike is not None
    assert alike.between == 0
    assert calibrate.spread([[1.0, 2.0]]) is None
    assert calibrate.spread([[1.0], [2.0]]) is None


def test_the_model_fits_the_large_images_of_the_gke_logs(study_data: Path) -> None:
    rows = [row for row in calibrate.compare(calibrate.LOG_SETS[1], study_data) if row.shape[1] > 1_000 * MB]
    assert median(abs(row.pull_error) for row in rows) < 0.04


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
