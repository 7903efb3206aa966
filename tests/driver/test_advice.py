"""What a study's report advises, held against what the change then does; what it must not advise."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from bench.known_truth.advice import case_trials, other_trial
from driver.planning.advice import JobGroup, advice, findings_of
from driver.planning.study import Images, Study
from pullstudy.analysis.findings.cost import NodePrice
from pullstudy.analysis.findings.finding import Finding, Verdict, findings_of_json
from pullstudy.analysis.report.facts import gather_facts
from pullstudy.analysis.report.report import sections_of
from pullstudy.sim.model.images import describe
from pullstudy.sim.model.pull_model import Missing
from tests.driver.sweeps import LARGE, SMALL, run_sweep, small_study

REPOSITORY = Study().images.repository
PRICE = NodePrice(0.5, "USD", None)


def group(layers: int, size_bytes: int, size: int, *makespans: float) -> JobGroup:
    image = f"{REPOSITORY}:{layers}-layers-size-{size_bytes}-bytes"
    return JobGroup(image, size, makespans, Missing.of(describe(image), frozenset()))


def told(*groups: JobGroup) -> dict[str, Finding]:
    images = Images(tags=(), more=tuple(dict.fromkeys(each.image for each in groups)))
    return {each.subject: each for each in findings_of(groups, Study(images=images), "sim", PRICE) if each is not None}


@pytest.mark.parametrize("case", ["ordinary nodes", "a registry that sends slowly"])
def test_a_change_saves_what_was_promised_within_a_fifth(case: str) -> None:
    found = [trial for seed in (1, 2) for trial in case_trials(case, seed)]
    assert [trial for trial in found if trial.right is False] == []
    assert sum(trial.said == "as much as promised" for trial in found) >= 4


def test_nothing_is_advised_by_a_model_that_is_not_true_of_the_jobs() -> None:
    assert other_trial(1).right
    found = told(group(9, 6_836_726_027, 4, 20.0), group(9, 2_770_722_493, 4, 9.0))
    assert [(each.subject, each.verdict, each.value) for each in found.values()] == [("all", Verdict.UNKNOWN, None)]


def test_a_large_clusters_controllers_are_no_error_of_the_model() -> None:
    """At 256 nodes they take 12 s more than at 8."""
    found = told(group(9, 1_176_249_324, 256, 26.5))
    assert "faster-volume" in found
    assert "all" not in found


def test_seconds_node_hours_and_money_are_of_all_jobs() -> None:
    found = told(group(9, 6_836_726_027, 4, 62.0, 63.0))["faster-volume"]
    assert isinstance(found.value, float)
    assert found.node_hours == pytest.approx(4 * found.value / 3600)
    assert found.money == pytest.approx(0.5 * found.node_hours)
    (as_json,) = findings_of_json([found])
    assert {"node_hours", "money", "currency", "interval"} <= set(as_json)


def test_what_the_study_has_measured_goes_over_what_the_model_says() -> None:
    pairs = [(1_176_249_324, 14.7, 15.6), (2_770_722_493, 31.0, 33.2), (6_836_726_027, 62.5, 65.9)]
    groups = [group(9, size, 4, few) for size, few, _ in pairs] + [group(125, size, 4, many) for size, _, many in pairs]
    found = told(*groups)["fewer-layers"]
    assert found.value == pytest.approx(114.7 * 0.058, rel=0.05)
    assert "measured: 3 pairs of images of as many bytes" in found.evidence
    dear = [group(9, size, 4, few) for size, few, _ in pairs] + [group(125, size, 4, few) for size, few, _ in pairs]
    assert "fewer-layers" not in told(*dear)


async def test_the_report_of_a_sweep_says_what_would_save_time(tmp_path: Path) -> None:
    await run_sweep(small_study(SMALL, LARGE), tmp_path)
    facts = gather_facts(tmp_path, advice)
    assert {"pre-pull", "faster-volume"} <= {each.subject for each in facts.advice}
    assert "advice" in [section.identity for section in sections_of(facts)]
    without = gather_facts(tmp_path)
    assert without.advice == ()
    assert "advice" not in [section.identity for section in sections_of(without)]


async def test_a_study_whose_keys_are_another_versions_gets_no_advice(tmp_path: Path) -> None:
    await run_sweep(small_study(SMALL), tmp_path)
    facts = gather_facts(tmp_path)
    runs = tuple(msgspec.structs.replace(run, study='{"unheard": 1}') for run in facts.study.ledger.runs)
    ledger = msgspec.structs.replace(facts.study.ledger, runs=runs)
    assert list(advice(replace(facts, study=replace(facts.study, ledger=ledger)))) == []
