"""Records for the store's tests: plain ones, and hypothesis strategies for any record at all."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from pullstudy.pulls.batch import Gap, Reject
from pullstudy.pulls.milestone import Milestone, Moment, Witness
from pullstudy.pulls.record import Outcome, PullRecord

AT = datetime(2024, 11, 11, 0, 32, 10, 941901, tzinfo=UTC)


def pull(uid: str = "u", count: int = 1, **more: Any) -> PullRecord:
    return PullRecord(**{"cluster": "c", "outcome": Outcome.PULLED, "count": count, "event_uid": uid, **more})


def milestone(uid: str = "u", **more: Any) -> Milestone:
    plain: dict[str, Any] = {
        "cluster": "c",
        "moment": Moment.PULLING,
        "at": AT,
        "resolution_seconds": 1e-6,
        "witness": Witness.EVENT_NAME,
        "clock": "node-1",
        "count": 1,
        "event_uid": uid,
    }
    return Milestone(**{**plain, **more})


def reject(**more: Any) -> Reject:
    return Reject(**{"cluster": "c", "source": "f", "position": "3", "problem": "p", "raw": "r", **more})


def gap(**more: Any) -> Gap:
    return Gap(**{"cluster": "c", "from_version": "1", "to_version": "9", "found_at": AT, "why": "compacted", **more})


HOSTILE = 'abz ,="\\\n\r\t\x00\x7f�0f\u2028é🙂\ud800'
texts = st.text(alphabet=st.one_of(st.sampled_from(HOSTILE), st.characters()), max_size=40)
times = st.datetimes(datetime(1700, 1, 1), datetime(2250, 1, 1), timezones=st.just(UTC))
integers = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


places: dict[str, st.SearchStrategy[Any]] = {
    "cluster": texts,
    "run": _maybe(texts),
    "size": _maybe(integers),
    "node": _maybe(texts),
    "namespace": _maybe(texts),
    "job": _maybe(texts),
    "pod": _maybe(texts),
    "pod_uid": _maybe(texts),
    "container": _maybe(texts),
    "count": integers,
    "event_uid": texts,
}
any_pull = st.builds(
    PullRecord,
    **places,
    image=_maybe(texts),
    repository=_maybe(texts),
    tag=_maybe(texts),
    digest=_maybe(texts),
    outcome=st.sampled_from(Outcome),
    started_at=_maybe(times),
    finished_at=_maybe(times),
    pull_seconds=_maybe(floats),
    waiting_seconds=_maybe(floats),
    image_bytes=_maybe(integers),
    error=_maybe(texts),
)
any_milestone = st.builds(
    Milestone,
    **places,
    moment=st.sampled_from(Moment),
    at=times,
    resolution_seconds=floats,
    witness=st.sampled_from(Witness),
    clock=texts,
)
any_reject = st.builds(Reject, cluster=texts, source=texts, position=texts, problem=texts, raw=texts, at=_maybe(times))
any_gap = st.builds(Gap, cluster=texts, from_version=texts, to_version=texts, found_at=times, why=texts)
any_record = st.one_of(any_pull, any_milestone, any_reject, any_gap)
