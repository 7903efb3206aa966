"""The reports of all real data: no sum below zero, no share above a whole, and nothing said of what is not known."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pullstudy.analysis.findings.schedule import cluster_schedules
from pullstudy.analysis.report.facts import Facts, gather_facts
from pullstudy.analysis.report.report import SECTIONS
from pullstudy.pulls.decode import Origin
from tests.analysis.conftest import import_events
from tests.analysis.page_reader import Reader

_LOG = re.compile(r"events-(?:size-)?(\d+)\.jsonl?")
STUDIES = (
    "apps-aks-32",
    "apps-eks-32",
    "eks-gp2-38-images",
    "gke-pd-near-registry",
    "gke-streaming-off",
    "gke-streaming-on",
    "pulling-aws",
    "pulling-test-run3",
)


@pytest.fixture(scope="module", params=STUDIES)
def facts(request: pytest.FixtureRequest, study_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """Of one folder's logs; logs of a size that their names don't tell are of 32 nodes, and of a cluster each."""
    directory = tmp_path_factory.mktemp(request.param)
    for log in sorted((study_data / request.param).glob("events-*")):
        match = _LOG.fullmatch(log.name)
        origin = Origin(cluster=f"{request.param}-{log.stem}", run=request.param, size=int(match[1]) if match else 32)
        import_events(log, origin, directory)
    return gather_facts(directory)


def lines(facts: Facts) -> Iterator[str]:
    for build in SECTIONS:
        yield from Reader("".join(map(str, build(facts).blocks))).lines()


def test_no_share_is_below_zero_or_above_a_whole(facts: Facts) -> None:
    shares = [
        (float(found), line)
        for line in lines(facts)
        for found in re.findall(r"(-?\d[\d,]*(?:\.\d+)?)%", line.replace(",", ""))
    ]
    assert [pair for pair in shares if not 0 <= pair[0] <= 100] == []


def test_no_sum_is_below_zero(facts: Facts) -> None:
    for decomposition in facts.decompositions:
        for phase in decomposition.phases:
            assert min(phase.seconds.values()) >= 0, phase.phase
        assert sum(sum(phase.seconds.values()) for phase in decomposition.phases) == pytest.approx(
            sum(decomposition.makespan_seconds.values())
        )
    for job in facts.jobs:
        assert all(segment.seconds >= 0 for path in (job.path, *job.paths.values()) for segment in path)


def test_the_wall_time_of_each_cluster_is_its_parts(facts: Facts) -> None:
    for each in cluster_schedules(facts.jobs):
        parts = [each.in_jobs_seconds, each.own_seconds, sum(each.pauses), each.unknown_seconds]
        assert min(parts) >= 0
        assert sum(parts) == pytest.approx(each.wall_seconds)


def test_critical_paths_add_up_to_their_makespans(facts: Facts) -> None:
    for job in facts.jobs:
        if job.path:
            assert sum(segment.seconds for segment in job.path) == pytest.approx(job.makespan_seconds)
