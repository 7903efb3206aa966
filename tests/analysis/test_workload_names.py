"""Workloads by name: what all have in common tells none of them."""

from pullstudy.analysis.report.wording import workload_name, workload_names


def test_an_init_image_that_all_share_is_left_out_of_their_names() -> None:
    assert workload_names(["r/view:1 + r/amg:1", "r/view:1 + r/lammps:2"]) == {
        "r/view:1 + r/amg:1": "…/amg:1",
        "r/view:1 + r/lammps:2": "…/lammps:2",
    }


def test_names_that_would_be_alike_are_whole() -> None:
    assert workload_names(["one/app:1", "two/app:1"]) == {"one/app:1": "one/app:1", "two/app:1": "two/app:1"}


def test_a_workload_of_shared_images_alone_has_a_name_too() -> None:
    assert workload_names(["r/view:1", "r/view:1 + r/amg:1"]) == {
        "r/view:1": "…/view:1",
        "r/view:1 + r/amg:1": "…/amg:1",
    }


def test_one_workload_is_named_by_all_of_its_images() -> None:
    assert workload_name("r/view:1 + r/amg:1") == "…/view:1 + …/amg:1"
