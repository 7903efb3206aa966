"""The layers of a simulated pull: laid out so that they lead to the end that the model's formula gives."""

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullstudy.sim.model.disk import Disk
from pullstudy.sim.model.images import Image, ImageLayer
from pullstudy.sim.model.layer_times import layer_times
from pullstudy.sim.model.parameters import EKS, GB, MB, ModelParameters
from pullstudy.sim.model.pull_model import Missing, PullCourse, PullModel
from pullstudy.sim.model.true_stages import true_stages
from pullstudy.sim.time.clock import VirtualClock
from tests.sim.conftest import START_AT

layer_sizes = st.lists(st.tuples(st.integers(0, 2 * GB), st.integers(0, 5 * GB)), min_size=1, max_size=40)
ORDERED = ("asked_at", "sent_at", "answered_at", "there_at", "apply_at", "applied_at", "committed_at")


def image_of(sizes: Sequence[tuple[int, int]]) -> Image:
    layers = tuple(ImageLayer(f"sha256:{place:064x}", *size) for place, size in enumerate(sizes))
    return Image("registry.example/made:1", f"sha256:{1 << 200:064x}", layers, sum(size for size, _ in sizes))


def pulls(parameters: ModelParameters, images: Sequence[Image], seed: int = 1) -> list[tuple[float, PullCourse]]:
    """Begun at one moment on one node: when each was over, and how it went."""
    clock = VirtualClock(START_AT)
    model = PullModel(clock, parameters, random.Random(seed), random.Random(seed))
    disk, over = Disk(parameters.volume), []
    for image in images:
        model.pull(Missing.of(image, frozenset()), disk, 1.0, "job", lambda course: over.append((clock.now, course)))
    while (due := clock.next_of_any()) is not None:
        clock.run_next(due)
    return over


@given(
    st.lists(layer_sizes, min_size=1, max_size=3),
    st.floats(1 * MB, 10 * GB),
    st.floats(10 * MB, 10 * GB),
    st.floats(1 * MB, 10 * GB),
    st.floats(0, 2.0),
    st.integers(1, 8),
)
def test_every_layer_goes_its_way_in_order_and_the_last_one_ends_the_pull(
    sizes: list[list[tuple[int, int]]], link: float, unpack: float, write: float, latency: float, at_once: int
) -> None:
    parameters = replace(
        EKS,
        network=replace(EKS.network, bytes_per_second=link, parallel_downloads=at_once),
        volume=replace(EKS.volume, unpack_bytes_per_second=unpack, write_bytes_per_second=write),
        registry=replace(EKS.registry, layer_latency_seconds=latency),
    )
    for over_at, course in pulls(parameters, [image_of(each) for each in sizes]):
        times = layer_times(course)
        assert times[-1].committed_at == course.ended_at == over_at
        for each in times:
            moments = [course.resolved_at, *(getattr(each, name) for name in ORDERED)]
            assert moments == sorted(moments)
        assert all(after.apply_at >= before.committed_at - 1e-9 for before, after in pairwise(times))
        stages = true_stages(course, times)
        assert sum(stages.values()) == pytest.approx(
            course.ended_at - course.started_at, abs=1e-6
        )  # of seconds up to thousands


def test_no_more_layers_are_downloaded_at_once_than_the_runtime_does() -> None:
    slow_link = replace(EKS, network=replace(EKS.network, bytes_per_second=5 * MB))
    ((_, course),) = pulls(slow_link, [image_of([(10 * MB, 20 * MB)] * 9)])
    times = layer_times(course)
    starts = sorted({each.sent_at for each in times[:6]})
    assert len(starts) == 2  # rounds of three
    assert starts[1] == pytest.approx(max(each.there_at for each in times[:3]))
    assert [each.sent_at == each.asked_at for each in times] == [True] * 3 + [False] * 6


def test_downloads_that_go_side_by_side_share_the_link() -> None:
    slow_link = replace(EKS, network=replace(EKS.network, bytes_per_second=10 * MB))
    ((_, course),) = pulls(slow_link, [image_of([(10 * MB, 1), (20 * MB, 1), (30 * MB, 1)])])
    slow = (course.unpacking.downloaded_at - course.resolved_at) / 6 if course.unpacking else 0.0  # of 10 MB alone
    lasted = [each.there_at - each.answered_at for each in layer_times(course)]
    assert lasted == pytest.approx([3 * slow, 5 * slow, 6 * slow], rel=1e-3)


def test_a_pull_whose_layers_are_all_there_has_none() -> None:
    assert layer_times(PullCourse(1.0, 2.0, 2.0)) == []
