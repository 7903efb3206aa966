"""Lists of pods as the second witness: what no event told comes from status, marked so, and nothing comes twice."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driver import cli
from driver.importing.listed_pods import ListedPods, NoPodError, read_pod
from pullstudy.pulls.decode import Origin
from pullstudy.pulls.event import UNREADABLE
from pullstudy.pulls.kinds import MILESTONE
from pullstudy.pulls.milestone import Milestone
from pullstudy.pulls.record import PullRecord
from pullstudy.store.embedded.store import EmbeddedStore

BEGAN = datetime(2024, 8, 23, 2, 24, 5, tzinfo=UTC)
IMAGE = "registry.example/team/app:1"
Object = dict[str, Any]


def at(seconds: int) -> str:
    return (BEGAN + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(
    name: str, *, started: int | None = 7, created: int = 0, job: str | None = "j", policy: str = "", **more: Any
) -> Object:
    status: Object = {"name": "app", "image": IMAGE, "imageID": "", "restartCount": 0, "state": {}}
    if started is not None:
        status |= {"imageID": f"{IMAGE}@sha256:{'1' * 64}", "state": {"running": {"startedAt": at(started)}}}
    owner = {"kind": "Job", "name": job, "uid": "job-uid"} if job else {"kind": "DaemonSet", "name": "d", "uid": "d"}
    made: Object = {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}", "creationTimestamp": at(created)},
        "spec": {"nodeName": "node-1", "containers": [{"name": "app", "image": IMAGE, "imagePullPolicy": policy}]},
        "status": {
            "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": at(created + 1)}],
            "containerStatuses": [status],
        },
    }
    made["metadata"]["ownerReferences"] = [owner]
    return made | more


def pulled(name: str, seconds: int = 6, **subject: Any) -> Object:
    return {
        "metadata": {"name": f"{name}.1", "namespace": "default", "uid": f"event-{name}"},
        "involvedObject": {
            "kind": "Pod",
            "namespace": "default",
            "name": name,
            "uid": f"uid-{name}",
            "fieldPath": "spec.containers{app}",
        }
        | subject,
        "reason": "Pulled",
        "message": f'Successfully pulled image "{IMAGE}" in 2s (2s including waiting)',
        "source": {"component": "kubelet", "host": "node-1"},
        "firstTimestamp": at(seconds),
        "lastTimestamp": at(seconds),
        "count": 1,
    }


def take(directory: Path, *lists: list[Object]) -> tuple[list[PullRecord], list[Milestone]]:
    """Imports the lists, a command each, and gives what is stored after all."""
    directory.mkdir(exist_ok=True)
    out = directory / "study"
    for number, items in enumerate(lists):
        file = directory / f"{number}.json"
        file.write_text(json.dumps({"kind": "List", "apiVersion": "v1", "items": items}))
        assert cli.run(["import", str(file), "--size", "1", "--out", str(out)]) == 0
    store = EmbeddedStore(out, create=False)
    try:
        return list(store.pulls()), list(store.records(MILESTONE))
    finally:
        store.close_now()


def test_a_pod_without_events_gets_its_moments_and_its_pull_from_its_status(tmp_path: Path) -> None:
    (pull,), moments = take(tmp_path, [pod("a")])
    assert (pull.event_uid, pull.outcome, pull.job) == ("pod-status:uid-a/app", "pulled", "j")
    assert (pull.pull_seconds, pull.finished_at) == (None, BEGAN + timedelta(seconds=7))
    assert [(each.moment, each.witness, (each.at - BEGAN).seconds) for each in moments] == [
        ("pod_created", "pod", 0),
        ("scheduled", "pod", 1),
        ("started", "pod", 7),
    ]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("events_first", [True, False])
def test_an_event_and_a_status_of_the_same_pull_are_one_pull(
    together: bool, events_first: bool, tmp_path: Path
) -> None:
    lists = [[pulled("a")], [pod("a")]] if events_first else [[pod("a")], [pulled("a")]]
    (pull,), _ = take(tmp_path, *([[*lists[0], *lists[1]]] if together else lists))
    assert (pull.event_uid, pull.pull_seconds) == ("event-a", 2)


def test_an_event_that_names_no_uid_is_of_the_listed_pod_too(tmp_path: Path) -> None:
    (pull,), _ = take(tmp_path, [pod("a"), pulled("a", uid=None)])
    assert pull.event_uid == "event-a"


def test_the_first_on_a_node_pulled_and_the_next_found_the_image(tmp_path: Path) -> None:
    listed = [pod("late", started=9), pod("first", started=7), pod("always", started=11, policy="Always")]
    pulls, _ = take(tmp_path, listed)
    assert {pull.pod: pull.outcome for pull in pulls} == {"first": "pulled", "late": "cached", "always": "pulled"}


def test_of_pods_older_than_the_events_only_those_of_jobs_have_a_pull(tmp_path: Path) -> None:
    old, of_job = pod("old", created=-9_000, started=-8_990, job=None), pod("of-job", created=-9_000, started=-8_980)
    pulls, moments = take(tmp_path, [old, of_job, pulled("new")])
    assert {pull.pod for pull in pulls} == {"of-job", "new"}
    assert {each.pod for each in moments if each.witness == "pod"} == {"old", "of-job"}


def test_a_container_that_waits_for_its_image_is_a_failed_pull(tmp_path: Path) -> None:
    waiting = pod("a", started=None)
    waiting["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "ErrImagePull", "message": "no such"}}
    (pull,), _ = take(tmp_path, [waiting])
    assert (pull.outcome, pull.error, pull.finished_at) == ("failed", "ErrImagePull: no such", None)


def test_importing_pods_again_changes_nothing(tmp_path: Path) -> None:
    listed = [pod("a"), pod("b", started=8)]
    assert take(tmp_path / "once", listed) == take(tmp_path / "twice", listed, listed)


def test_the_nodes_of_listed_pods_tell_the_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pods.json").write_text(json.dumps({"items": [pod("a"), pod("b", spec={"nodeName": "node-2"})]}))
    assert cli.run(["import", str(tmp_path / "pods.json"), "--out", str(tmp_path / "study")]) == 0
    assert "size: 2," in capsys.readouterr().out


ODD_PODS: dict[str, Object] = {
    "no uid": pod("a") | {"metadata": {"name": "a"}},
    "no name": pod("a") | {"metadata": {"uid": "u"}},
    "metadata null": pod("a") | {"metadata": None},
    "a long uid": pod("a") | {"metadata": {"name": "a", "uid": "u" * 500}},
    "a condition of no type": pod("a", status={"conditions": [{"status": "True"}]}),
    "a time without a zone": pod(
        "a",
        status={
            "conditions": [],
            "startTime": 5,
            "containerStatuses": [{"name": "app", "state": {"running": {"startedAt": "2024-08-23T02:24:11"}}}],
        },
    ),
    "the first hour of the year 1": pod(
        "a",
        status={
            "containerStatuses": [{"name": "app", "state": {"running": {"startedAt": "0001-01-01T00:00:00+14:00"}}}]
        },
    ),
}


@pytest.mark.parametrize("name", ODD_PODS)
def test_a_pod_of_an_odd_form_is_one_reject_and_the_next_is_read(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pulls, _ = take(tmp_path, [ODD_PODS[name], pod("next")])
    assert {pull.pod for pull in pulls} == {"next"}
    assert "rejected: 1 (" in capsys.readouterr().err


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.just("0001-01-01T00:00:00Z")),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)


@given(st.data())
def test_a_pod_with_anything_in_the_place_of_a_field_is_read_or_told(data: st.DataObject) -> None:
    made = pod("a")
    place: Any = made
    for _ in range(data.draw(st.integers(0, 5))):
        keys = list(place) if isinstance(place, dict) else list(range(len(place))) if isinstance(place, list) else []
        if not keys:
            break
        key = data.draw(st.sampled_from(keys))
        if data.draw(st.booleans()):
            place[key] = data.draw(json_values)
            break
        place = place[key]
    pods = ListedPods(Origin(cluster="c"))
    try:
        read = read_pod(json.dumps(made).encode())
        if read is not None:
            pods.add(read)
    except (NoPodError, *UNREADABLE):
        return
    assert all(pull.finished_at is None or pull.finished_at.tzinfo is UTC for pull in pods.pulls())
