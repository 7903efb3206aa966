"""The plan and the order of its jobs."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driver.commands.plan_command import say_plan
from driver.planning.job_estimate import JobPace, estimated_job_seconds
from driver.planning.plan import (
    JOB_NAME_LENGTH,
    PlannedJob,
    SizePlan,
    image_slug,
    make_plan,
    ordered,
    planned_jobs,
)
from driver.planning.study import Images, Order, Overrides, RunPlan, Study, load_study

IMAGES = ("a", "b", "c", "d", "e")


def study(**run: object) -> Study:
    loaded = load_study(None, Overrides(sizes="2,4"))
    return msgspec.structs.replace(loaded, run=RunPlan(**run))  # type: ignore[arg-type]


def test_sequential_runs_the_repeats_of_an_image_one_after_the_other() -> None:
    assert ordered(("a", "b"), RunPlan(repeats=2), 4) == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]


def test_interleaved_runs_every_image_before_any_is_repeated() -> None:
    plan = RunPlan(repeats=2, order=Order.INTERLEAVED)
    assert ordered(("a", "b"), plan, 4) == [("a", 1), ("b", 1), ("a", 2), ("b", 2)]


def test_random_order_holds_each_pair_once_and_follows_from_seed_and_size_alone() -> None:
    plan = RunPlan(repeats=2, order=Order.RANDOM, seed=3)
    first = ordered(IMAGES, plan, 4)
    assert sorted(first) == sorted((image, repeat) for image in IMAGES for repeat in (1, 2))
    assert first == ordered(IMAGES, plan, 4)
    assert first != ordered(IMAGES, plan, 8)
    assert first != ordered(IMAGES, RunPlan(repeats=2, order=Order.RANDOM, seed=4), 4)


def test_the_random_order_is_the_same_in_every_process_and_version() -> None:
    plan = RunPlan(order=Order.RANDOM, seed=1)
    assert [image for image, _ in ordered(IMAGES, plan, 4)] == ["b", "e", "c", "a", "d"]


def test_positions_count_through_the_sizes() -> None:
    jobs = planned_jobs(study(repeats=2))
    assert [job.position for job in jobs] == list(range(128))
    assert [job.size for job in jobs] == [2] * 64 + [4] * 64


@given(
    image=st.text(min_size=1, max_size=300),
    position=st.integers(0, 99_999),
    repeat=st.integers(1, 999),
    attempt=st.integers(1, 999),
)
def test_a_job_name_is_a_label_however_odd_the_image(image: str, position: int, repeat: int, attempt: int) -> None:
    name = PlannedJob(position=position, size=4, image=image, repeat=repeat).name(attempt)
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
    assert len(name) <= JOB_NAME_LENGTH


def test_names_of_two_attempts_differ() -> None:
    job = PlannedJob(position=3, size=4, image="r:9-layers-size-1176249324-bytes", repeat=1)
    assert job.name(1) == "pull-3-9l-1176mb-r1-a1"
    assert job.name(2) == "pull-3-9l-1176mb-r1-a2"


@pytest.mark.parametrize(
    ("image", "slug"),
    [("docker.io/library/nginx:1.27", "nginx-1-27"), ("busybox", "busybox-latest"), ("r/___", "latest")],
)
def test_other_images_are_named_by_their_last_part_and_tag(image: str, slug: str) -> None:
    assert image_slug(image, 40) == slug


def test_the_estimate_meets_the_upstream_logs() -> None:
    """4 nodes of c5a.4xlarge: 14.7 s for the smallest image, 153 s for the largest, before what lies between jobs."""
    assert estimated_job_seconds("r:9-layers-size-1176249324-bytes", 4, JobPace()) == pytest.approx(14.7 + 5, rel=0.05)
    assert estimated_job_seconds("r:9-layers-size-19034736629-bytes", 4, JobPace()) == pytest.approx(153 + 5, rel=0.05)


def test_cost_is_nodes_times_hours_times_price() -> None:
    plan = make_plan(study(), "sim", "sim-", 3600.0)
    small, large = plan.sizes
    assert small.cluster == "sim-pulling-study-2"
    assert small.cost == pytest.approx(2 * small.seconds / 3600 * 0.616)
    assert large.cost == pytest.approx(2 * small.cost)
    assert (plan.jobs, plan.pulls) == (64, 32 * 2 + 32 * 4)
    assert plan.cost == pytest.approx(small.cost + large.cost)


UPSTREAM_BYTES = (1176249324, 2770722493, 6836726027, 10902729561, 14968733095, 19034736629)
# Seconds from the first job's creation to the last one's end, by nodes: of these images with 9 and 125 layers, by
# ``pulldriver sweep --sizes 4..256`` on the simulator; and with 9, from pods to job, in the logs of pulling-aws.
SWEPT = {4: 965, 8: 967, 16: 975, 32: 993, 64: 1047, 128: 1153, 256: 1376}
SWEPT_32 = {4: 574, 8: 589, 16: 604, 32: 671, 64: 827, 128: 1182, 256: 1968}  # of the study without a word
REAL = {4: 496.9, 8: 491.4, 16: 498.8}


def planned(provider: str, size: int, *layers: int) -> SizePlan:
    tags = tuple(f"{count}-layers-size-{each}-bytes" for count in layers for each in UPSTREAM_BYTES)
    loaded = load_study(None, Overrides(sizes=str(size)))
    return make_plan(msgspec.structs.replace(loaded, images=Images(tags=tags)), provider, "x-", 0.0).sizes[0]


@pytest.mark.parametrize("size", SWEPT)
def test_the_plan_of_a_size_meets_what_the_sweep_of_it_took(size: int) -> None:
    plan = planned("sim", size, 9, 125)
    assert plan.seconds == pytest.approx(SWEPT[size], rel=0.05)
    assert plan.cost == pytest.approx(size * SWEPT[size] / 3600 * 0.616, rel=0.05)


@pytest.mark.parametrize("size", SWEPT_32)
def test_the_plan_of_the_study_without_a_word_meets_what_its_sweep_took(size: int) -> None:
    (plan,) = make_plan(load_study(None, Overrides(sizes=str(size))), "sim", "sim-", 0.0).sizes
    assert plan.seconds == pytest.approx(SWEPT_32[size], rel=0.15)


@pytest.mark.parametrize("size", REAL)
def test_the_plan_of_a_size_meets_what_it_took_on_real_nodes(size: int) -> None:
    assert planned("kubeconfig", size, 9).seconds == pytest.approx(REAL[size], rel=0.01)


def test_an_image_whose_name_tells_no_size_is_said_to_be_guessed() -> None:
    own = msgspec.structs.replace(study(), images=Images(tags=(), more=("docker.io/library/nginx:1.27",)))
    plan = make_plan(own, "kwok", "kwok-", 0.0)
    assert plan.guessed == ("docker.io/library/nginx:1.27",)
    said = "\n".join(say_plan(plan))
    assert "guessed  the sizes, and so the times, of 1 of 1 images, whose names tell no size: nginx-1-27" in said
    assert "nothing is paid" in said
