"""The loss audit's sums."""

from driver.jobs.audit import make_audit, places, say
from driver.jobs.pod_status import pod_witnesses
from pullstudy.pulls.record import Outcome, witness_uid
from pullstudy.store.embedded.ledger import Audit
from tests.driver.kube_objects import ORIGIN, ROW, pod, pulled, waiting

ROWS = pod_witnesses([pod(0), pod(1)], ORIGIN, "pull-0")
RECOVERED = pulled(1, event_uid=witness_uid("uid-1", "pull"))


def test_everything_told_and_stored_is_accounted_for() -> None:
    both = [pulled(0), pulled(1)]
    audit = make_audit(ROW, rows=ROWS, events=both, stored=both)
    assert (audit.expected, audit.events, audit.pod_status, audit.stored, audit.recovered) == (2, 2, 2, 2, 0)
    assert say([audit]) == "2/2 accounted for"


def test_a_pull_from_pod_status_alone_counts_as_recovered() -> None:
    audit = make_audit(ROW, rows=ROWS, events=[pulled(0)], stored=[pulled(0), RECOVERED])
    assert (audit.events, audit.stored, audit.recovered) == (1, 1, 1)
    assert say([audit]) == "2/2 accounted for, 1 recovered from pod status"


def test_an_event_that_comes_after_the_recovery_takes_its_place() -> None:
    audit = make_audit(ROW, rows=ROWS, events=[], stored=[pulled(0), pulled(1), RECOVERED])
    assert (audit.stored, audit.recovered) == (2, 0)


def test_a_node_without_any_pod_is_missing_and_not_forgotten() -> None:
    audit = make_audit(ROW, rows=ROWS[:1], events=[pulled(0)], stored=[pulled(0)])
    assert say([audit]) == "1/2 accounted for"


def test_a_retried_index_is_expected_twice() -> None:
    rows = pod_witnesses([pod(0), pod(1), pod(0, uid="uid-again")], ORIGIN, "pull-0")
    again = pulled(0, Outcome.CACHED, pod_uid="uid-again", event_uid="event-again")
    stored = [pulled(0), pulled(1), again]
    assert say([make_audit(ROW, rows=rows, events=stored, stored=stored)]) == "3/3 accounted for"


def test_a_failed_pull_is_accounted_for_and_a_back_off_is_not() -> None:
    rows = pod_witnesses([pod(0, waiting=waiting("ErrImagePull", "x")), pod(1)], ORIGIN, "pull-0")
    failed = pulled(0, Outcome.FAILED)
    backoff = pulled(1, Outcome.BACKOFF)
    audit = make_audit(ROW, rows=rows, events=[failed, backoff], stored=[failed, backoff])
    assert (audit.events, audit.pod_status, audit.stored) == (1, 1, 1)


def test_a_combined_event_accounts_for_no_container() -> None:
    assert places([pulled(0, container=None)]) == set()


def test_the_words_sum_over_jobs() -> None:
    audits = [
        Audit(cluster="c", job=str(n), expected=4, events=3, pod_status=4, stored=3, recovered=1) for n in range(2)
    ]
    assert say(audits) == "8/8 accounted for, 2 recovered from pod status"


def test_of_a_pod_that_was_taken_away_a_pull_is_expected_only_where_one_is_known() -> None:
    taken = pod(0, uid="uid-taken", waiting=waiting("ContainerCreating", ""))
    rows = pod_witnesses([pod(0), pod(1), taken], ORIGIN, "pull-0")
    both = [pulled(0), pulled(1)]
    assert say([make_audit(ROW, rows=rows, events=both, stored=both, taken={"uid-taken"})]) == "2/2 accounted for"
    three = [*both, pulled(0, pod_uid="uid-taken", event_uid="event-taken")]
    assert say([make_audit(ROW, rows=rows, events=three, stored=three, taken={"uid-taken"})]) == "3/3 accounted for"
    assert say([make_audit(ROW, rows=rows, events=both, stored=both)]) == "2/3 accounted for"
