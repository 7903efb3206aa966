"""Pod status against events, without a cluster: which pulls are missing, and what is made of them."""

from typing import Any

import msgspec
import pytest

from collector.reconciling.reconcile import Reconciler, Unreported
from collector.sources.reported import ReportedContainers
from pullstudy.pulls.decode import Origin, decode_event
from pullstudy.pulls.event import Event
from pullstudy.pulls.pod import Pod
from pullstudy.pulls.record import Outcome
from tests.collector.kube_pods import IMAGE, START, pod, pulled, runs, told, waits

ORIGIN = Origin(cluster="c")
GRACE = 60.0
OTHER = "registry.example/other:1"


class Case:
    """A reconciler whose first list is over, at the time of the first pods' creation."""

    def __init__(self, *listed: dict[str, Any]) -> None:
        self.told = ReportedContainers(100)
        self.reconciler = Reconciler(ORIGIN, self.told, GRACE)
        self.now = 0.0
        self.relist(*listed)

    def relist(self, *listed: dict[str, Any]) -> None:
        self.reconciler.list_begins(START)
        for each in listed:
            self.see(each)
        self.reconciler.list_ends()

    def see(self, each: dict[str, Any]) -> None:
        self.reconciler.see(msgspec.convert(each, Pod), self.now)

    def gone(self, each: dict[str, Any]) -> None:
        self.reconciler.gone(msgspec.convert(each, Pod))

    def tell(self, each: dict[str, Any]) -> None:
        self.told.add(decode_event(msgspec.convert(each, Event), ORIGIN))

    def untold(self, *by_server: dict[str, Any], after: float = GRACE) -> list[Unreported]:
        """What comes out when so much time has passed and the API server lists these events."""
        self.now += after
        server = ReportedContainers(100)
        for each in by_server:
            server.add(decode_event(msgspec.convert(each, Event), ORIGIN))
        return self.reconciler.resolve(self.reconciler.due(self.now), server)


def outcomes(found: list[Unreported]) -> dict[str, Outcome]:
    return {f"{each.row.pod}/{each.row.container}": each.outcome for each in found}


def test_a_pull_whose_event_came_is_accounted_for_and_one_without_is_untold_once() -> None:
    case = Case()
    case.see(pod("p", runs(), runs(11), images=(IMAGE, OTHER)))
    case.tell(pulled("p", "c0"))
    (found,) = case.untold()
    assert (found.row.container, found.outcome, found.namespace) == ("c1", Outcome.PULLED, "default")
    assert case.reconciler.accounted == 1
    case.see(pod("p", runs(), runs(11), images=(IMAGE, OTHER)))
    assert case.untold() == []


def test_nothing_is_taken_for_lost_before_its_grace_is_over() -> None:
    case = Case()
    case.see(pod("p", runs()))
    assert case.untold(after=GRACE - 1) == []
    assert case.reconciler.waiting == 1
    assert outcomes(case.untold(after=1)) == {"p/c0": Outcome.PULLED}


def test_what_the_api_server_still_lists_is_not_lost() -> None:
    """This process may have been started after the event, or be behind."""
    case = Case()
    case.see(pod("p", runs()))
    assert case.untold(pulled("p")) == []
    assert case.reconciler.accounted == 1
    assert case.untold() == []


def test_pods_that_had_their_images_before_anybody_watched_are_not_asked_about() -> None:
    old = pod("old", runs(), created_seconds=-100)
    case = Case(old, pod("starting", waits("ContainerCreating"), created_seconds=-100))
    assert case.untold() == []
    case.see(old)
    case.see(pod("starting", runs(5), created_seconds=-100))
    assert outcomes(case.untold()) == {"starting/c0": Outcome.PULLED}, "its image came while it was watched"


def test_a_later_list_brings_what_happened_since_the_first_one_and_forgets_the_pods_that_are_gone() -> None:
    case = Case(pod("old", runs(), created_seconds=-100))
    case.relist(pod("new", runs(50), created_seconds=40))
    assert len(case.reconciler) == 1
    assert outcomes(case.untold()) == {"new/c0": Outcome.CACHED}


def test_a_pod_that_is_deleted_within_its_grace_is_still_reconciled() -> None:
    case = Case()
    for name in ("told", "untold"):
        case.see(pod(name, runs(), node=name))
        case.gone(pod(name, runs(), node=name))
    case.tell(pulled("told"))
    assert outcomes(case.untold()) == {"untold/c0": Outcome.PULLED}
    assert len(case.reconciler) == 0


def test_a_failure_that_no_event_told_of_is_one_and_the_success_after_it_another() -> None:
    case = Case()
    case.see(pod("p", waits("ErrImagePull", "not found")))
    case.see(pod("p", waits("ImagePullBackOff", "Back-off")))
    (found,) = case.untold()
    assert (found.outcome, found.row.waiting_reason) == (Outcome.FAILED, "ImagePullBackOff")
    case.see(pod("p", waits("ErrImagePull", "not found")))
    assert case.untold() == [], "of one container it is told once"
    case.see(pod("p", runs()))
    assert outcomes(case.untold()) == {"p/c0": Outcome.PULLED}


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("Failed", f'Failed to pull image "{IMAGE}": not found'),
        ("BackOff", f'Back-off pulling image "{IMAGE}"'),
    ],
)
def test_a_failure_is_told_by_its_event_or_by_the_back_off_that_follows(reason: str, message: str) -> None:
    case = Case()
    case.see(pod("p", waits("ErrImagePull")))
    case.tell(told("p", "c0", message, reason=reason))
    assert case.untold() == []
    case.see(pod("p", runs()))
    assert outcomes(case.untold()) == {"p/c0": Outcome.PULLED}, "a failure tells nothing of the image that came later"


def test_waiting_for_anything_else_is_no_failed_pull() -> None:
    case = Case()
    case.see(pod("p", waits("CrashLoopBackOff"), waits("ContainerCreating")))
    assert case.untold() == []


def test_combined_events_are_pinned_on_no_container() -> None:
    case = Case()
    case.see(pod("p", runs(), runs(), images=(IMAGE, OTHER)))
    case.tell(told("p", None, f'(combined from similar events): Successfully pulled image "{IMAGE}" in 1s'))
    assert outcomes(case.untold()) == {"p/c0": Outcome.PULLED, "p/c1": Outcome.PULLED}


def test_an_event_that_names_an_image_and_no_container_is_of_the_container_with_that_image() -> None:
    """As kwok's are."""
    case = Case()
    case.see(pod("p", runs(), runs(), images=(IMAGE, OTHER)))
    case.tell(pulled("p", None))
    assert outcomes(case.untold()) == {"p/c1": Outcome.PULLED}


def test_a_static_pods_events_have_the_uid_of_its_file() -> None:
    mirror = ("kubernetes.io/config.mirror", "kubernetes.io/config.hash")
    case = Case()
    for name in ("told", "untold"):
        case.see(pod(name, runs(), annotations=dict.fromkeys(mirror, f"hash-{name}")))
    case.tell(pulled("told", uid="hash-told"))
    (found,) = case.untold()
    assert found.row.pod_uid == "hash-untold"
    case.see(pod("told", runs(), annotations=dict.fromkeys(mirror, "hash-told")))
    assert case.reconciler.waiting == 0


# Pulled or there before


def test_of_containers_with_one_image_on_a_node_the_first_pulled_it() -> None:
    case = Case()
    case.see(pod("late", runs(30)))
    case.see(pod("early", runs(20), runs(20)))
    case.see(pod("elsewhere", runs(40), node="n2"))
    assert outcomes(case.untold()) == {
        "early/c0": Outcome.PULLED,
        "early/c1": Outcome.CACHED,
        "late/c0": Outcome.CACHED,
        "elsewhere/c0": Outcome.PULLED,
    }


def test_a_pod_from_before_the_watch_tells_that_the_image_was_there() -> None:
    case = Case(pod("old", runs(-50), created_seconds=-100))
    case.see(pod("new", runs(30)))
    assert outcomes(case.untold()) == {"new/c0": Outcome.CACHED}


@pytest.mark.parametrize(("policy", "outcome"), [("Always", Outcome.PULLED), ("Never", Outcome.CACHED)])
def test_the_pull_policy_decides_where_it_can(policy: str, outcome: Outcome) -> None:
    case = Case(pod("old", runs(-50), created_seconds=-100) if policy == "Always" else pod("none"))
    case.see(pod("p", runs(30), policy=policy))
    assert outcomes(case.untold()) == {"p/c0": outcome}


def test_a_pulling_event_says_that_it_was_pulled() -> None:
    case = Case(pod("old", runs(-50), created_seconds=-100))
    case.see(pod("p", runs(30)))
    case.see(pod("q", runs(30)))
    case.tell(told("p", "c0", f'Pulling image "{IMAGE}"', reason="Pulling"))
    found = case.untold(told("q", "c0", f'Pulling image "{IMAGE}"', reason="Pulling"))
    assert outcomes(found) == {"p/c0": Outcome.PULLED, "q/c0": Outcome.PULLED}


# What the next start needs


def test_the_next_start_looks_back_to_the_oldest_pod_that_is_not_settled() -> None:
    case = Case()
    now = START.replace(minute=30)
    case.see(pod("settled", runs(), created_seconds=5))
    case.see(pod("open", waits("ContainerCreating"), created_seconds=20))
    case.see(pod("younger", waits("ErrImagePull"), created_seconds=30))
    assert case.reconciler.unsettled_since(now) == START.replace(second=5)
    case.tell(pulled("settled"))
    case.untold()
    assert case.reconciler.unsettled_since(now) == START.replace(second=20)
    case.gone(pod("open", waits("ContainerCreating")))
    assert case.reconciler.unsettled_since(now) == START.replace(second=30)
    case.gone(pod("younger"))
    assert case.reconciler.unsettled_since(now) == now


def test_a_start_that_goes_on_looks_at_what_was_made_since_the_last_one() -> None:
    case = Case()
    case.reconciler = Reconciler(ORIGIN, case.told, GRACE, START.replace(second=30))
    case.relist(pod("before", runs(12), created_seconds=10), pod("since", runs(50), created_seconds=40))
    assert outcomes(case.untold()) == {"since/c0": Outcome.CACHED}
