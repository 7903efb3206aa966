"""Every pull counts: of jobs and of other pods, by what they have in common, and over time."""

from datetime import timedelta
from pathlib import Path

import pytest

from pullstudy.analysis.findings.pull_groups import MOST_STRETCHES, Grouping, PullGroups
from pullstudy.analysis.reading.ledger import NodePlace
from pullstudy.analysis.report.facts import gather_facts
from pullstudy.analysis.report.report import sections_of
from pullstudy.analysis.report.sections import all_pulls
from pullstudy.analysis.statistics.quantiles import median
from pullstudy.pulls.failure import FailureClass
from pullstudy.pulls.record import Outcome
from tests.analysis.hand_made import ZERO, HandMade, at, image_of
from tests.analysis.page_reader import Reader

WEB, API = "quay.io/shop/web:v1", "docker.io/shop/api:v2"


def services(directory: Path) -> None:
    """Pods of two Deployments on two nodes, the second node twice as slow; the api's image was refused at first."""
    made = HandMade(cluster="prod", size=2)
    for number in range(20):
        for image, owner, seconds in ((WEB, "web", 10.0), (API, "api", 4.0)):
            node = f"node-{number % 2}"
            pod = f"{owner}-6bf9c87d4d-{'bcdfghjklmnpqrstvwxz'[number]}2x4z"
            place = {"node": node, "namespace": owner, "image_bytes": 100_000_000}
            made.pull(None, pod, image, seconds * (1 + number % 2), finished=60.0 * number, **place)
    refused = {"outcome": Outcome.FAILED, "error": "429 Too Many Requests", "event_uid": "refused"}
    for count in (1, 3):
        made.pull(None, "api-6bf9c87d4d-2x4zb", API, None, namespace="api", count=count, **refused)
    made.pull(None, "web-6bf9c87d4d-2x4zc", WEB, None, namespace="web", outcome=Outcome.CACHED)
    made.write(directory)


def test_pulls_of_no_job_are_told_by_all_that_they_have_in_common(tmp_path: Path) -> None:
    services(tmp_path)
    pulls = gather_facts(tmp_path).pulls
    assert (pulls.all.pulled, pulls.all.cached, pulls.all.failed) == (40, 1, 3)
    counted = {
        grouping: {
            name: (group.pulled, median(group.seconds), group.failed) for name, group in pulls.by(grouping).items()
        }
        for grouping in (Grouping.REGISTRY, Grouping.NAMESPACE, Grouping.OWNER)
    }
    assert counted[Grouping.REGISTRY] == {("quay.io",): (20, 15, 0), ("docker.io",): (20, 6, 3)}
    assert counted[Grouping.NAMESPACE] == {("web",): (20, 15, 0), ("api",): (20, 6, 3)}
    assert counted[Grouping.OWNER] == {
        ("web", "Deployment", "web"): (20, 15, 0),
        ("api", "Deployment", "api"): (20, 6, 3),
    }
    assert pulls.by(Grouping.IMAGE)[API,].commonest_failure is FailureClass.RATE_LIMITED
    assert pulls.by(Grouping.IMAGE)[WEB,].bytes_per_second == pytest.approx(20 * 1e8 / (10 * 10 + 10 * 20))


def test_a_slow_node_is_told_from_one_that_pulls_large_images(tmp_path: Path) -> None:
    services(tmp_path)
    pulls = gather_facts(tmp_path).pulls
    places = [NodePlace(cluster="prod", node=f"node-{n}", zone=f"zone-{n}", instance_type="m5.large") for n in (0, 1)]
    assert pulls.slowness(Grouping.NODE) == {
        ("prod", "node-0"): pytest.approx(10 / 15),
        ("prod", "node-1"): pytest.approx(20 / 15),
    }
    assert pulls.slowness(Grouping.ZONE, places)["zone-1",] == pytest.approx(20 / 15)
    assert {name: group.pulled for name, group in pulls.by(Grouping.ZONE, places).items()} == {
        ("zone-0",): 20,
        ("zone-1",): 20,
    }
    assert {name: group.pulled for name, group in pulls.by(Grouping.INSTANCE_TYPE, places).items()} == {
        ("m5.large",): 40
    }


def test_a_cluster_without_jobs_has_a_report_of_its_pulls_and_nothing_about_jobs(tmp_path: Path) -> None:
    services(tmp_path)
    sections = sections_of(gather_facts(tmp_path))
    words = Reader("".join(str(block) for section in sections for block in section.blocks)).words()
    for told in ("40 pulls", "2 images", "2 nodes in the cluster", "3 failed attempts"):
        assert told in words
    assert "By registry" in words
    assert "makespan" not in words.lower()
    assert {"durations-unknown-other-layers", "pulls-over-time", "durations-over-time"} <= {
        figure.name for section in sections for figure in section.figures
    }


def test_a_jobs_pulls_are_counted_with_the_others_but_durations_stay_the_jobs_own(tmp_path: Path) -> None:
    services(tmp_path)
    made = HandMade(cluster="prod", size=2)
    made.serial = 1000
    made.pull("j", "j-0-xxxxx", image_of(), 30.0)
    made.write(tmp_path)
    facts = gather_facts(tmp_path)
    assert (facts.pulls.all.pulled, facts.counts.pulled) == (41, 1)
    assert [list(values.seconds) for group in facts.groups for values in group.pulls.values()] == [[30.0]]
    assert facts.pulls.by(Grouping.OWNER)["default", "Job", "j"].pulled == 1


def test_stretches_of_time_are_as_short_as_a_chart_can_show() -> None:
    for span, seconds in ((timedelta(seconds=100), 1), (timedelta(hours=1), 60), (timedelta(days=30), 6 * 3600)):
        assert PullGroups((ZERO, ZERO + span)).stretch_seconds == seconds
    decades = timedelta(days=20_000)
    stretch = PullGroups((ZERO, ZERO + decades)).stretch_seconds
    assert decades.total_seconds() / stretch <= MOST_STRETCHES
    assert stretch % (7 * 86400) == 0


def test_pulls_are_counted_in_the_stretch_in_which_they_ended() -> None:
    made = HandMade()
    groups = PullGroups((at(0), at(3600)))
    for finished in (0, 59, 60, 3599):
        groups.add(made.pull("j", "p", image_of(), 1.0, finished=finished))
    assert [(when, group.pulled) for when, group in groups.over_time()] == [(at(0), 2), (at(60), 1), (at(3540), 1)]


def test_a_long_table_says_how_many_rows_there_are_and_where_all_of_them_are(tmp_path: Path) -> None:
    made = HandMade()
    for number in range(30):
        made.pull(None, f"web-6bf9c87d4d-2x4z{'bcdfg'[number % 5]}", f"quay.io/shop/web-{number}:v1", 1.0)
    made.write(tmp_path)
    words = Reader("".join(map(str, all_pulls.build(gather_facts(tmp_path)).blocks))).words()
    assert "By image: 20 of 30 images; pulldriver export pulls has every pull" in words
