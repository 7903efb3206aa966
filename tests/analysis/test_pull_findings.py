"""What a study's findings say: how long pulls take, what is lost, what it cost, and whether an objective is met."""

import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from driver import cli
from pullstudy.analysis.findings.finding import Finding, FindingId, Verdict
from pullstudy.analysis.findings.loss import Unaudited, losses
from pullstudy.analysis.findings.objectives import objective_findings
from pullstudy.analysis.findings.pull_seconds import Downloads, pull_seconds
from pullstudy.analysis.findings.thresholds import parse_threshold
from pullstudy.store.embedded.ledger import Audit
from tests.analysis.hand_made import HandMade, image_of

Capture = pytest.CaptureFixture[str]


def downloads(jobs: int, nodes: int, *, cache: str = "cold", size: int = 8, image: str = "app:1") -> list[Downloads]:
    """About 10 s each; jobs differ by 5%, pulls by 8%."""
    source = random.Random(3)
    levels = [10 * source.lognormvariate(0, 0.05) for _ in range(jobs)]
    return [
        Downloads(f"c-{size}", size, image, cache, [level * source.lognormvariate(0, 0.08) for _ in range(nodes)])
        for level in levels
    ]


def by_subject(found: list[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding for finding in found}


def test_durations_are_told_of_all_by_size_by_image_and_by_both() -> None:
    found = by_subject(list(pull_seconds([*downloads(6, 8), *downloads(6, 16, size=16, image="web:2")])))
    assert list(found) == ["all", "8 nodes", "16 nodes", "app:1", "web:2", "8 nodes, app:1", "16 nodes, web:2"]
    whole, one = found["all"], found["8 nodes, app:1"]
    assert (whole.n, whole.counts, whole.verdict) == (12, "jobs", Verdict.YES)
    assert (one.size, one.image, one.cache) == (8, "app:1", "cold")
    assert one.interval is not None
    assert (one.interval[0] or 0) < 10 < (one.interval[1] or 0)
    assert one.p95 is not None
    assert one.p99 is None  # of 48 pulls it would be the largest under another name


def test_cache_states_never_stand_in_one_distribution() -> None:
    found = by_subject(list(pull_seconds([*downloads(3, 8), *downloads(3, 8, cache="warm")])))
    assert {"all, cold", "all, warm", "8 nodes, cold"} <= found.keys()
    assert "all" not in found


def test_one_job_of_an_image_says_what_is_assumed() -> None:
    (whole, *_) = pull_seconds(downloads(1, 64))
    assert any("differ by 5%" in each for each in whole.assumptions)
    (several, *_) = pull_seconds(downloads(6, 64))
    assert not any("differ by 5%" in each for each in several.assumptions)


@pytest.mark.parametrize(
    ("objective", "verdict"),
    [
        ("median < 20s", Verdict.YES),
        ("median < 5s", Verdict.NO),
        ("median < 10s", Verdict.UNKNOWN),
        ("p95 < 20s", Verdict.YES),
        ("p99 < 8s", Verdict.NO),
        ("p99 < 60s", Verdict.YES),
        ("p99 < 12.6s", Verdict.UNKNOWN),
    ],
)
def test_an_objective_is_met_or_missed_only_beyond_chance(objective: str, verdict: Verdict) -> None:
    (found,) = objective_findings([parse_threshold(objective)], downloads(30, 32))
    assert found.verdict is verdict


def test_losses_are_told_and_unknown_without_an_audit() -> None:
    audit = Audit(cluster="c", job="j", expected=8, events=7, pod_status=8, stored=7, recovered=0)
    (lost,) = losses([audit])
    assert (lost.value, lost.n, lost.verdict) == (1.0, 8, Verdict.YES)
    (unknown,) = losses([])
    assert (unknown.value, unknown.verdict) == (None, Verdict.UNKNOWN)
    assert "unknown" in unknown.evidence


def test_of_an_imported_log_the_pulls_that_its_jobs_would_make_and_the_discarded_events_are_told() -> None:
    (found,) = losses([], [Unaudited("c", 2, 16, 15, 3), Unaudited("d", 1, 8, 8, 0)], discarded=4)
    assert (found.value, found.n, found.verdict) == (None, 24, Verdict.UNKNOWN)
    assert "23 pulls of jobs are on record, and a pod of each job on every node would make 24" in found.evidence
    assert "discarded 4 events" in found.evidence


def told(capsys: Capture) -> dict[str, Any]:
    return dict(msgspec.json.decode(capsys.readouterr().out))


def test_report_prints_every_finding_and_writes_no_page(sweep_directory: Path, capsys: Capture) -> None:
    before = set(sweep_directory.iterdir())
    assert cli.run(["report", "--out", str(sweep_directory), "--json"]) == 0
    found = told(capsys)
    assert found.keys() == {"study", "simulated", "guessed_sizes", "notes", "findings"}
    assert found["simulated"] is True
    assert {each["id"] for each in found["findings"]} >= {"pull-seconds", "loss", "cost"}
    required = {"id", "subject", "value", "interval", "unit", "n", "counts", "verdict", "evidence", "assumptions"}
    assert all(required <= each.keys() for each in found["findings"])
    cost = next(each for each in found["findings"] if each["id"] == FindingId.COST)
    assert (cost["unit"], cost["counts"], cost["n"]) == ("USD", "clusters", 2)
    assert set(sweep_directory.iterdir()) == before


@pytest.mark.parametrize(
    ("objectives", "code"),
    [(["median < 5m"], 0), (["median < 1s"], 1), (["p99 < 1ms"], 3), (["p99 < 60s", "median < 1s"], 1)],
)
def test_an_objectives_answer_is_the_exit_code(
    sweep_directory: Path, capsys: Capture, objectives: list[str], code: int
) -> None:
    asked = [word for objective in objectives for word in ("--slo", objective)]
    assert cli.run(["report", "--out", str(sweep_directory), *asked]) == code
    said = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in said] == objectives


def test_traffic_without_jobs_has_durations_too(tmp_path: Path, capsys: Capture) -> None:
    made = HandMade(cluster="c-4", size=4)
    for index in range(40):
        made.pull("x", f"web-{index}", image_of(), 10 + index / 10, node=f"node-{index % 4}")
    made.pulls = [msgspec.structs.replace(pull, job=None) for pull in made.pulls]
    made.write(tmp_path)
    assert cli.run(["report", "--out", str(tmp_path), "--json", "--slo", "median < 30s"]) == 0
    first = told(capsys)["findings"][0]
    assert (first["id"], first["n"], first["counts"]) == ("pull-seconds", 1, "images on clusters")


@pytest.mark.parametrize("objective", ["makespan < 60s", "p99 < 60", "p99"])
def test_what_is_no_objective_is_refused(capsys: Capture, objective: str) -> None:
    assert cli.run(["report", "--slo", objective]) == 2
    assert capsys.readouterr().err.count("\n") == 1
