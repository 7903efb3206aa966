"""What a duration means depends on the kubelet that wrote it."""

from pathlib import Path

import pytest

from pullstudy.pulls.decode import Origin, decode_event
from pullstudy.pulls.event import decode_event_json
from pullstudy.pulls.kubelet import duration_includes_waiting
from pullstudy.pulls.record import PullRecord

CASES = Path(__file__).parent.parent / "data" / "cases" / "import"


@pytest.mark.parametrize(
    ("kubelet", "includes"),
    [
        ("v1.20.0", True),
        ("v1.22.17-eks-0a21954", True),
        ("v1.23.1", None),  # patches of early 2023 told it apart
        ("v1.25.16-gke.1596000", None),
        ("v1.26.0", False),
        ("v1.27.16-eks-a737599", False),
        ("1.34", False),
        ("v2.0.0", False),
        ("", None),
        ("fake", None),
    ],
)
def test_kubelets_before_1_26_count_the_waiting(kubelet: str, includes: bool | None) -> None:
    assert duration_includes_waiting(kubelet) is includes


def only_pull(case: str) -> PullRecord:
    event = decode_event_json((CASES / f"{case}.json").read_bytes().strip().splitlines()[-1])
    (record,) = decode_event(event, Origin(cluster="c")).pulls
    return record


def test_a_message_of_one_duration_has_the_waiting_in_it_and_one_of_two_has_not() -> None:
    old, new = only_pull("kubelet-1.24"), only_pull("kubelet-1.27")
    assert (old.pull_seconds, old.waiting_seconds) == (49.18401355, None)
    assert (new.pull_seconds, new.waiting_seconds) == (5.0, pytest.approx(44.184))
