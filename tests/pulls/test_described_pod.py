"""What ``kubectl describe pod`` says of a pod's events, with the times that its ages allow."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullstudy.pulls.decode import Decoded, Origin, decode_event
from pullstudy.pulls.described_pod import NO_POD, NO_TABLE, NO_TIME, age_seconds, coarsened
from pullstudy.pulls.eventlog import LoggedEvent, LogItem, UnreadableLine, read_log

SAMPLE = (Path(__file__).parents[1] / "data" / "cases" / "import" / "described.txt").read_text()
AS_OF = datetime(2024, 8, 23, 2, 30, tzinfo=UTC)
ORIGIN = Origin(cluster="c")


def read(text: str, as_of: datetime | None = AS_OF) -> list[LogItem]:
    return list(read_log(text.encode(errors="replace").splitlines(keepends=True), as_of=as_of))


def decoded(text: str, as_of: datetime = AS_OF) -> list[Decoded]:
    return [
        coarsened(decode_event(item.event, ORIGIN), item.resolution_seconds)
        for item in read(text, as_of)
        if isinstance(item, LoggedEvent)
    ]


def human_duration(seconds: int) -> str:
    """As apimachinery's HumanDuration writes it."""
    minutes, hours, days = seconds // 60, seconds // 3_600, seconds // 86_400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 730:
        return f"{days}d"
    if days < 8 * 365:
        return f"{days // 365}y{days % 365}d" if days % 365 else f"{days // 365}y"
    return f"{days // 365}y"


@given(st.integers(0, 20 * 365 * 86_400))
def test_an_age_holds_the_seconds_that_it_was_written_for(seconds: int) -> None:
    found = age_seconds(human_duration(seconds))
    assert found is not None
    least, fineness = found
    assert least <= seconds < least + fineness
    assert fineness == 1 or seconds >= 600


@given(st.text())
def test_any_text_is_an_age_or_none(text: str) -> None:
    age_seconds(text)


@given(st.integers(0, 20 * 365 * 86_400), st.integers(0, 999_999))
def test_a_moment_is_in_the_stretch_that_its_record_tells(seconds: int, microsecond: int) -> None:
    """The API cuts an event's time to the second, kubectl counts to the microsecond."""
    text = SAMPLE.replace("5m54s", human_duration(seconds).ljust(5))
    (moment,) = decoded(text, AS_OF.replace(microsecond=microsecond))[0].milestones
    assert moment.at <= AS_OF - timedelta(seconds=seconds) < moment.at + timedelta(seconds=moment.resolution_seconds)


def test_a_pods_events_are_read_with_all_that_the_description_tells() -> None:
    found = decoded(SAMPLE)
    (pull,) = [pull for each in found for pull in each.pulls if pull.pod == "pod-1"]
    assert (pull.node, pull.namespace, pull.job, pull.container) == ("node-1", "default", "pulls", "app")
    assert (pull.pull_seconds, pull.image_bytes) == (1.5, 180696622)
    assert pull.finished_at == datetime(2024, 8, 23, 2, 24, 11, tzinfo=UTC)
    moments = [each.milestones[0] for each in found if each.milestones and each.milestones[0].pod == "pod-1"]
    assert [(each.moment, each.at.second, each.resolution_seconds) for each in moments] == [
        ("scheduled", 6, 1),
        ("pulling", 7, 1),
        ("pulled", 11, 1),
        ("created", 11, 1),
        ("started", 12, 1),
    ]
    assert {each.owner for each in moments} == {"Job/pulls"}


def test_a_pull_whose_moment_is_rough_keeps_its_exact_duration_and_no_time() -> None:
    (pulled,) = [each for each in decoded(SAMPLE.replace("5m49s", "3h5m ")) if each.pulls and each.pulls[0].tag == "v1"]
    (pull,), (moment,) = pulled.pulls, pulled.milestones
    assert (pull.pull_seconds, pull.finished_at, pull.started_at) == (1.5, None, None)
    assert (moment.resolution_seconds, moment.event_uid) == (60, pull.event_uid)


def test_the_same_events_described_later_are_the_same() -> None:
    later = SAMPLE.replace("5m5", "8m5").replace("5m4", "8m4")
    first, again = ([pull.identity for each in decoded(text) for pull in each.pulls] for text in (SAMPLE, later))
    assert first == again
    assert len(set(first)) == 2


def test_a_pod_of_the_same_name_that_started_later_is_another() -> None:
    other = SAMPLE.replace("02:24:06 +0000", "02:25:06 +0000")
    zone = SAMPLE.replace("02:24:06 +0000", "04:24:06 +0200")
    first, later, elsewhere = (
        {pull.event_uid for each in decoded(text) for pull in each.pulls} for text in (SAMPLE, other, zone)
    )
    assert not first & later
    assert first == elsewhere


def test_a_count_is_of_the_last_time_and_an_unknown_age_is_no_time() -> None:
    back_off = 'Back-off pulling image "registry.example:5000/team/app:v1"'
    table = (
        "  Type     Reason     Age                From               Message\n"
        "  ----     ------     ----               ----               -------\n"
        "  Normal   Scheduled  <unknown>                             Successfully assigned default/pod-1 to node-1\n"
        f"  Normal   BackOff    2m (x3 over 9m5s)  kubelet            {back_off}: a cause\n"
        "of two lines\n"
        f"  Warning  BackOff    <invalid>          kubelet            {back_off}\n"
    )
    scheduled, *others = decoded(SAMPLE.partition("  Type    Reason")[0] + table)
    assert scheduled.milestones == ()
    assert [(pull.count, pull.finished_at, pull.error) for each in others for pull in each.pulls] == [
        (3, AS_OF - timedelta(minutes=2), "a cause\nof two lines"),
        (1, None, None),
    ]


@pytest.mark.parametrize(
    ("text", "as_of", "problem"),
    [
        (SAMPLE, None, NO_TIME),
        ("Name:   node-1\nRoles:  <none>\nEvents:  <none>\n", AS_OF, NO_POD),
        ("Name:  a\nNode:  b/1\nContainers:\n  a:\n    Image:  x\nEvents:\n  FirstSeen  LastSeen\n", AS_OF, NO_TABLE),
    ],
)
def test_what_cannot_be_read_is_one_reject_that_says_what_to_do(
    text: str, as_of: datetime | None, problem: str
) -> None:
    (item,) = read(text, as_of)
    assert isinstance(item, UnreadableLine)
    assert item.problem == problem


def test_a_pod_without_events_is_no_reject() -> None:
    assert decoded(SAMPLE.partition("\n\n")[0].partition("Events:")[0] + "Events:  <none>\n") == []


ODD = ["", "\x1b[2J", "Name: x", "Events:", "  Normal  \udcff", "{"]


@given(st.lists(st.sampled_from([*SAMPLE.splitlines(), *ODD]), max_size=60))
def test_lines_in_any_order_stop_nothing(lines: list[str]) -> None:
    for item in read("\n".join(lines)):
        if isinstance(item, LoggedEvent):
            coarsened(decode_event(item.event, ORIGIN), item.resolution_seconds)


@given(st.integers(0, len(SAMPLE)), st.text(max_size=30))
def test_text_put_anywhere_stops_nothing(at: int, text: str) -> None:
    decoded(SAMPLE[:at] + text + SAMPLE[at:])


def test_two_rows_that_say_the_same_are_two_events_and_the_same_two_the_next_time() -> None:
    row = next(line for line in SAMPLE.splitlines() if " Pulled " in line)
    doubled = SAMPLE.replace(row, f"{row}\n{row}", 1)
    once, twice, again = (
        [item for item in read(text) if isinstance(item, LoggedEvent)] for text in (SAMPLE, *[doubled] * 2)
    )
    assert len(twice) == len(once) + 1
    assert len({item.event.metadata.uid for item in twice}) == len(twice)
    assert [item.event.metadata.uid for item in again] == [item.event.metadata.uid for item in twice]
