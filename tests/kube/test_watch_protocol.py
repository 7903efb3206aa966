"""The rules of list and watch, without a server."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullstudy.kube.errors import Status
from pullstudy.kube.objects import ListMetadata
from pullstudy.kube.status import read_error_line, read_status
from pullstudy.kube.watch_protocol import (
    Identify,
    ListPage,
    Policy,
    Prove,
    Relisted,
    Request,
    Take,
    Watch,
    WatchProtocol,
    judge,
)
from pullstudy.pulls.pod import Metadata
from tests.collector.api_server import status

NOW = datetime(2026, 10, 21, 7, 28, tzinfo=UTC)
UID = "uid-of-kube-system"
TOO_LARGE = Status(504, "Too large resource version: 900, current: 100")
PAGE_2 = ListPage(500, "token")


def line(version: str) -> Metadata:
    return Metadata(resource_version=version)


def error(code: int, message: str = "no", retry_after: int | None = None) -> Status:
    body = {"type": "ERROR", "object": status(code, message, retry_after=retry_after)}
    return read_error_line(json.dumps(body).encode())


def watching(version: str = "100", uid: str = UID) -> WatchProtocol:
    """A protocol in the middle of a watch."""
    protocol = WatchProtocol(version, uid)
    protocol.identified(uid)
    protocol.proven()
    assert protocol.next_step().request == Watch(version)
    return protocol


def request_of(protocol: WatchProtocol) -> Request:
    return protocol.next_step().request


def test_without_a_checkpoint_it_identifies_lists_and_watches_from_the_lists_version() -> None:
    protocol = WatchProtocol()
    assert request_of(protocol) == Identify()
    assert protocol.identified(UID) is None
    assert request_of(protocol) == ListPage(500, None)
    assert protocol.page(ListMetadata(resource_version="7", continue_token="next")) is None
    assert request_of(protocol) == ListPage(500, "next")
    relisted = protocol.page(ListMetadata(resource_version="7"))
    assert relisted is not None
    assert (relisted.version, relisted.gap_from) == ("7", None)
    assert request_of(protocol) == Watch("7")


def test_with_a_checkpoint_it_proves_the_version_and_watches_on_without_a_list() -> None:
    protocol = WatchProtocol("100", UID)
    protocol.identified(UID)
    assert request_of(protocol) == Prove("100")
    protocol.proven()
    assert request_of(protocol) == Watch("100")


def test_a_lost_checkpoint_is_a_gap_from_an_unknown_version() -> None:
    protocol = WatchProtocol(lost="the spool was torn")
    protocol.identified(UID)
    relisted = protocol.page(ListMetadata(resource_version="7"))
    assert relisted is not None
    assert (relisted.gap_from, relisted.why) == ("", "the spool was torn")


def test_another_cluster_is_noticed_and_listed_anew_as_a_gap() -> None:
    protocol = WatchProtocol("100", "former")
    assert protocol.identified(UID) == "former"
    assert isinstance(request_of(protocol), ListPage)
    relisted = protocol.page(ListMetadata(resource_version="7"))
    assert relisted is not None
    assert relisted.gap_from == "100"
    assert "former" in relisted.why
    assert protocol.cluster_uid == UID


def test_an_identity_that_may_not_be_read_keeps_the_one_that_is_known() -> None:
    protocol = WatchProtocol("100", UID)
    assert protocol.identified("") is None
    assert protocol.cluster_uid == UID
    assert request_of(protocol) == Prove("100")


def test_a_version_ahead_of_the_server_is_listed_anew_and_never_watched() -> None:
    protocol = WatchProtocol("900", UID)
    protocol.identified(UID)
    protocol.refused(TOO_LARGE, Prove("900"))
    assert isinstance(request_of(protocol), ListPage)
    relisted = protocol.page(ListMetadata(resource_version="100"))
    assert relisted is not None
    assert relisted.gap_from == "900"


TAKEN = {"ADDED": Take.CHANGED, "MODIFIED": Take.CHANGED, "DELETED": Take.DELETED, "BOOKMARK": Take.NOTHING}


@pytest.mark.parametrize("kind", TAKEN)
def test_every_line_moves_the_version(kind: str) -> None:
    protocol = watching()
    taken = protocol.line(kind, line("101"))
    assert protocol.version == "101"
    assert taken is TAKEN[kind]


def test_versions_are_opaque_so_a_smaller_one_is_taken_as_it_comes() -> None:
    protocol = watching("zzz")
    protocol.line("ADDED", line("5"))
    assert protocol.version == "5"


@pytest.mark.parametrize("start", ["", "0"])
def test_the_initial_added_of_an_unordered_watch_never_move_the_version(start: str) -> None:
    protocol = WatchProtocol(start, UID)
    assert protocol.line("ADDED", line("500")) is Take.CHANGED
    assert protocol.version == start
    protocol.line("BOOKMARK", line("600"))
    assert protocol.version == "600"


def test_410_comes_as_a_status_as_an_error_and_as_an_empty_watch_and_each_means_list() -> None:
    as_status = watching()
    as_status.refused(Status(410, "too old"), Watch("100"))
    as_error = watching()
    as_error.error(error(410, "too old resource version"))
    as_silence = watching()
    for _ in range(3):
        as_silence.ended(quick=True)
        if request_of(as_silence) == Prove("100"):
            as_silence.proven()
    for protocol in (as_status, as_error, as_silence):
        assert isinstance(request_of(protocol), ListPage)
        assert protocol.version == "100"
        relisted = protocol.page(ListMetadata(resource_version="300"))
        assert relisted is not None
        assert relisted.gap_from == "100"


def test_a_list_that_finds_the_same_version_is_no_gap() -> None:
    protocol = watching()
    protocol.refused(Status(410), Watch("100"))
    relisted = protocol.page(ListMetadata(resource_version="100"))
    assert relisted is not None
    assert relisted.gap_from is None


def test_the_first_410_is_listed_at_once_and_a_server_that_repeats_it_ever_more_slowly() -> None:
    protocol = watching()
    waits = []
    for version in ("101", "102", "103"):
        protocol.refused(Status(410), Watch(protocol.version))
        step = protocol.next_step()
        waits.append(step.failures if step.wait else 0)
        protocol.page(ListMetadata(resource_version=version))
    assert waits == [0, 2, 3]


def test_an_empty_watch_that_ends_at_once_waits_longer_each_time_even_across_a_list() -> None:
    protocol = watching()
    failures = []
    for _ in range(6):
        protocol.ended(quick=True)
        step = protocol.next_step()
        assert step.wait
        failures.append(step.failures)
        if isinstance(step.request, ListPage):
            protocol.page(ListMetadata(resource_version="100"))
        else:
            protocol.proven()
    assert failures == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504, 401, 403])
@pytest.mark.parametrize("request_", [Identify(), ListPage(500, None), PAGE_2, Prove("100"), Watch("100")])
def test_distress_is_waited_out_at_the_same_version_and_is_never_a_reason_to_list(code: int, request_: Request) -> None:
    assert judge(Status(code, "busy"), request_) is Policy.RETRY
    protocol = watching()
    protocol.refused(Status(code, "busy"), Watch("100"))
    step = protocol.next_step()
    assert (step.request, step.wait, step.failures) == (Prove("100"), True, 1)


def test_watches_that_bring_nothing_are_asked_for_ever_more_slowly_though_lists_are_answered() -> None:
    protocol = watching()
    failures = []
    for code in (500, 429, 500, 503):
        protocol.error(error(code))
        failures.append(protocol.next_step().failures)
        protocol.proven()
    protocol.refused(Status(500), Watch("100"))
    failures.append(protocol.next_step().failures)
    protocol.broken(Watch("100"), quick=True)
    failures.append(protocol.next_step().failures)
    protocol.identified(UID)
    protocol.proven()
    assert failures == [1, 2, 3, 4, 5, 6]
    protocol.broken(Watch("100"), quick=False)
    assert protocol.next_step().failures == 0


def test_retry_after_is_waited_once() -> None:
    protocol = watching()
    protocol.error(error(429, "too many", retry_after=7))
    assert protocol.next_step().retry_after_seconds == 7.0
    protocol.proven()
    assert protocol.next_step().retry_after_seconds is None


def test_a_page_whose_token_expired_is_followed_by_one_list_of_everything() -> None:
    protocol = WatchProtocol()
    protocol.identified(UID)
    protocol.page(ListMetadata(resource_version="7", continue_token="token"))
    protocol.refused(Status(410, "The provided continue parameter is too old"), PAGE_2)
    assert request_of(protocol) == ListPage(None, None)
    protocol.page(ListMetadata(resource_version="9"))
    assert request_of(protocol) == Watch("9")
    protocol.refused(Status(410), Watch("9"))
    assert request_of(protocol) == ListPage(500, None)


GONE = Status(410, "The provided continue parameter is too old", continue_token="newer")


def read_torn_list(protocol: WatchProtocol, first: str, last: str) -> Relisted | None:
    """A list of which the first page is of one version and, since that is gone, the second of another."""
    assert request_of(protocol) == ListPage(500, None)
    protocol.page(ListMetadata(resource_version=first, continue_token="token"))
    protocol.refused(GONE, PAGE_2)
    assert request_of(protocol) == ListPage(500, "newer")
    return protocol.page(ListMetadata(resource_version=last))


def test_a_list_that_outlives_its_version_is_read_to_its_end_and_then_once_more_from_the_beginning() -> None:
    protocol = WatchProtocol()
    protocol.identified(UID)
    assert read_torn_list(protocol, "7", "9") is None
    assert protocol.version == "", "what was made between 7 and 9 may have been in neither page"
    protocol.page(ListMetadata(resource_version="10", continue_token="token"))
    assert protocol.page(ListMetadata(resource_version="10")) == Relisted("10", None, "first list")
    assert request_of(protocol) == Watch("10")


def test_lists_that_outlive_their_version_again_and_again_end_in_a_watch_and_a_gap() -> None:
    protocol = WatchProtocol()
    protocol.identified(UID)
    assert read_torn_list(protocol, "7", "9") is None
    assert read_torn_list(protocol, "9", "12") is None
    relisted = read_torn_list(protocol, "12", "15")
    assert relisted is not None
    assert (relisted.version, relisted.gap_from) == ("15", "12")
    assert "longer than the server remembers, 3 times" in relisted.why
    assert request_of(protocol) == Watch("15")
    protocol.refused(Status(410), Watch("15"))
    assert read_torn_list(protocol, "20", "22") is None, "it counts anew"


def test_a_list_whose_every_page_is_gone_is_asked_for_ever_more_slowly() -> None:
    protocol = WatchProtocol()
    protocol.identified(UID)
    protocol.page(ListMetadata(resource_version="7", continue_token="token"))
    failures = []
    for _ in range(3):
        protocol.refused(GONE, request_of(protocol))
        failures.append(protocol.next_step().failures)
    assert failures == [1, 2, 3]
    assert protocol.next_step().wait


def test_a_page_that_does_not_come_is_asked_for_in_quarters_and_grows_again_when_it_does() -> None:
    protocol = WatchProtocol()
    protocol.identified(UID)
    limits = []
    for failure in ("refused", "broken", "refused", "broken", "refused"):
        request = request_of(protocol)
        assert isinstance(request, ListPage)
        limits.append(request.limit)
        if failure == "refused":
            protocol.refused(Status(504, "busy", retry_after_seconds=7.0), request, may_be_of_size=True)
            assert protocol.next_step().retry_after_seconds == 7.0
        else:
            protocol.broken(request, quick=True, may_be_of_size=True)
            protocol.identified(UID)
    assert limits == [500, 125, 31, 7, 1]
    assert protocol.next_step().wait
    protocol.page(ListMetadata(resource_version="7", continue_token="token"), 1)
    assert request_of(protocol) == ListPage(2, "token")


def test_the_whole_list_that_does_not_come_is_asked_for_in_pages_again() -> None:
    protocol = WatchProtocol()
    protocol.identified(UID)
    protocol.page(ListMetadata(resource_version="7", continue_token="token"))
    protocol.refused(Status(410, "too old"), PAGE_2)
    protocol.refused(Status(504, "slow"), ListPage(None, None), may_be_of_size=True)
    assert request_of(protocol) == ListPage(500, None)


def test_a_server_that_is_not_reached_gets_no_smaller_page() -> None:
    protocol = WatchProtocol()
    protocol.identified(UID)
    protocol.broken(ListPage(500, None), quick=True)
    protocol.identified(UID)
    assert request_of(protocol) == ListPage(500, None)


def test_a_cut_goes_on_at_the_same_version_after_asking_who_is_there() -> None:
    protocol = watching()
    protocol.line("ADDED", line("150"))
    protocol.broken(Watch("150"), quick=False)
    assert protocol.next_step().failures == 0
    assert request_of(protocol) == Identify()
    protocol.identified(UID)
    assert request_of(protocol) == Prove("150")


def test_a_line_ends_a_run_of_failures() -> None:
    protocol = watching()
    protocol.broken(Watch("100"), quick=True)
    protocol.ended(quick=True)
    protocol.line("ADDED", line("101"))
    protocol.ended(quick=False)
    assert protocol.next_step().failures == 0


ANSWERS = st.sampled_from(["ok", "410", "429", "504", "cut", "end", "quick"])


@given(st.lists(ANSWERS, max_size=60))
def test_whatever_is_answered_the_version_only_moves_by_lines_and_whole_lists(answers: list[str]) -> None:
    """Nothing but a line or a finished list may move it: that is what makes "nothing lost" true."""
    protocol = WatchProtocol("100", UID)
    number = 100
    for answer in answers:
        request, before = protocol.next_step().request, protocol.version
        if answer == "410":
            protocol.refused(Status(410), request)
        elif answer == "429":
            protocol.refused(Status(429), request)
        elif answer == "504":
            protocol.refused(TOO_LARGE, request)
        elif answer == "cut":
            protocol.broken(request, quick=True)
        elif isinstance(request, Watch):
            if answer == "ok":
                number += 1
                protocol.line("ADDED", line(str(number)))
                before = str(number)
            protocol.ended(quick=answer == "quick")
        elif isinstance(request, Identify):
            protocol.identified(UID)
        elif isinstance(request, Prove):
            protocol.proven()
        else:
            number += 1
            assert protocol.page(ListMetadata(resource_version=str(number))) is not None
            before = str(number)
        assert protocol.version == before


@pytest.mark.parametrize(
    ("body", "header", "message", "seconds"),
    [
        (json.dumps(status(429, "slow", retry_after=3)).encode(), None, "slow", 3.0),
        (json.dumps(status(429, "slow", retry_after=3)).encode(), "5", "slow", 5.0),
        (b"<html>\n<body>Bad gateway", None, "<html>", None),
        (b"", "Wed, 21 Oct 2026 07:28:05 GMT", "", 5.0),
        (b"\xff\xfe", "0", "��", 0.0),
    ],
)
def test_a_refusal_is_read_from_a_status_a_proxys_page_or_nothing(
    body: bytes, header: str | None, message: str, seconds: float | None
) -> None:
    refusal = read_status(429, body, header, NOW)
    assert (refusal.message, refusal.retry_after_seconds) == (message, seconds)


@pytest.mark.parametrize(
    ("metadata", "token"),
    [
        ({"continue": "newer"}, "newer"),
        ({"continue": ""}, None),
        ({"continue": 7}, None),
        ({"continue": "x" * 8_001}, None),  # it would be sent back in the address of a request
        ({}, None),
        ("no object", None),
    ],
)
def test_the_token_for_the_rest_of_an_expired_list_is_read_from_its_refusal(
    metadata: object, token: str | None
) -> None:
    body = json.dumps({**status(410, "too old"), "metadata": metadata}).encode()
    assert read_status(410, body, None, NOW).continue_token == token
