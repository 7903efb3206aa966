"""Two studies side by side."""

import re
from pathlib import Path

import msgspec
import pytest

from driver import cli
from pullstudy.analysis.compare import compare
from pullstudy.analysis.statistics.speed_up import TOO_FEW
from pullstudy.pulls.cache import CacheState
from pullstudy.pulls.milestone import Moment
from pullstudy.pulls.record import Outcome
from pullstudy.store.embedded.ledger import JobState
from tests.analysis.hand_made import HandMade, image_of

M = Moment
IMAGE = image_of(9, 1_000_000_000)
OTHER_REGISTRY = IMAGE.replace("ghcr.io/converged-computing", "registry.example/near")


def study(
    directory: Path,
    pulling: float,
    *,
    cache: CacheState = CacheState.COLD,
    cluster: str = "c-4",
    image: str = IMAGE,
    kernel: str = "6.1",
    pods: int = 8,
    jobs: int = 3,
) -> Path:
    """Jobs whose pods pull in ``pulling`` seconds and a little, each job a bit longer than the one before."""
    made = HandMade(cluster=cluster, size=4, environment={"nodes": 4, "kernels": [kernel]})
    for repeat in range(jobs):
        job, took = f"j{repeat}", pulling + 0.1 * repeat
        made.job(job, image, 0, pulling + 10)
        for index in range(pods):
            times = {M.SCHEDULED: 1, M.PULLING: 2, M.PULLED: 2 + took + 0.01 * index, M.STARTED: 3 + took}
            made.life(job, f"{job}-p{index}", image, times, node=f"node-{index % 4}")
            made.cache(job, f"node-{index % 4}", cache)
    made.write(directory)
    return directory


def test_a_faster_study_has_a_speed_up_with_its_interval_and_both_costs(tmp_path: Path) -> None:
    found = compare(study(tmp_path / "a", 20), study(tmp_path / "b", 10))
    (row,) = found.pulls
    assert row.speed_up is not None
    assert round(row.speed_up.value, 2) == 1.99
    assert row.verdict == "faster"
    assert (row.first_pulls, row.first_jobs) == (24, 3)
    (size,) = found.sizes
    assert (size.first_makespans_seconds, size.second_makespans_seconds) == (30, 20)
    assert (str(size.first_cost), str(size.second_cost)) == ("0.02 USD", "0.01 USD")
    assert found.cautions == ()


def test_the_text_shows_every_row_and_ends_in_no_blanks(tmp_path: Path) -> None:
    text = str(compare(study(tmp_path / "a", 20), study(tmp_path / "b", 10)))
    assert re.search(
        r"1 GB, 9 layers +4 +cold +20\.1 s +10\.1 s +24/24 +3/3 +1\.9\d\d +1\.9\d\d to 2\.\d\d\d +faster", text
    )
    assert not re.search(r" $", text, re.MULTILINE)


def test_different_environments_are_said(tmp_path: Path) -> None:
    found = compare(study(tmp_path / "a", 20), study(tmp_path / "b", 20, kernel="5.10"))
    assert "environments differ in kernels: 6.1 and 5.10" in found.cautions


def test_cache_states_that_do_not_match_are_said_and_never_compared(tmp_path: Path) -> None:
    found = compare(study(tmp_path / "a", 20), study(tmp_path / "b", 1, cache=CacheState.WARM))
    assert found.pulls == ()
    assert any("only the first has pulls with cache state cold" in caution for caution in found.cautions)
    assert any("only the second has pulls with cache state warm" in caution for caution in found.cautions)
    assert "nothing to compare" in str(found)


def test_the_same_image_of_another_registry_is_compared_and_said(tmp_path: Path) -> None:
    found = compare(study(tmp_path / "a", 20), study(tmp_path / "b", 10, image=OTHER_REGISTRY))
    assert len(found.pulls) == 1
    assert any("registry.example/near" in caution for caution in found.cautions)


def test_a_simulation_against_reality_is_said(tmp_path: Path) -> None:
    found = compare(study(tmp_path / "a", 20), study(tmp_path / "b", 20, cluster="sim-4"))
    assert "the second is simulated, the other is not" in found.cautions


def test_studies_without_environments_say_that_it_is_unknown(tmp_path: Path, aws_directory: Path) -> None:
    found = compare(aws_directory, aws_directory)
    assert any("whether the nodes were the same is unknown" in caution for caution in found.cautions)
    assert {row.verdict for row in found.pulls} == {TOO_FEW}  # one job of each image at each size
    assert {size.verdict for size in found.sizes} == {TOO_FEW}  # every image's speed-up is 1 to the last digit


def test_many_pulls_of_one_job_each_are_no_evidence(tmp_path: Path) -> None:
    found = compare(study(tmp_path / "a", 20, jobs=1, pods=40), study(tmp_path / "b", 19, jobs=1, pods=40))
    (row,) = found.pulls
    assert row.speed_up is not None
    assert (row.first_pulls, row.speed_up.low, row.verdict) == (40, None, TOO_FEW)
    assert "an interval (Welch's t) needs two jobs on each side" in str(found)
    assert "Rows with an interval: 0 of 1." in str(found)


def test_what_has_no_duration_is_said_where_a_side_would_look_the_faster_for_it(tmp_path: Path) -> None:
    failing = HandMade(cluster="c-4", size=4, environment={"nodes": 4, "kernels": ["6.1"]})
    for pod in ("p0", "p1", "p2"):
        failing.pull("j0", pod, IMAGE, 20.0)
        failing.cache("j0", "node-0", CacheState.COLD)
    failing.pull("j0", "p3", IMAGE, None, outcome=Outcome.FAILED, error="429", event_uid="u", count=1)
    failing.pull("j0", "p3", IMAGE, None, outcome=Outcome.FAILED, error="429", event_uid="u", count=5)
    failing.job("j0", IMAGE, 0, None, state=JobState.FAILED, error="too many requests")
    failing.write(tmp_path / "b")
    found = compare(study(tmp_path / "a", 20), tmp_path / "b")
    assert "0 failed attempts in the first and 5 in the second are in no median" in found.cautions
    assert "0 failed jobs in the first and 1 in the second are in no makespan" in found.cautions
    assert [row.second_pulls for row in found.pulls] == [3]


def test_json_is_asked_for_by_the_word_that_other_commands_have(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sides = [str(study(tmp_path / name, 20)) for name in ("a", "b")]
    assert cli.run(["compare", *sides, "--json"]) == 0
    told = capsys.readouterr().out
    assert msgspec.json.decode(told)["pulls"][0]["verdict"] == "no difference beyond chance"
    assert cli.run(["compare", *sides, "--format", "json"]) == 0
    assert capsys.readouterr().out == told


def test_the_json_has_numbers_with_their_units_and_the_verdict(tmp_path: Path) -> None:
    found = compare(study(tmp_path / "a", 20), study(tmp_path / "b", 10))
    told = msgspec.json.decode(msgspec.json.encode(found))
    (row,), (size,) = told["pulls"], told["sizes"]
    assert row["first_median_seconds"] == pytest.approx(20.135)
    assert row["speed_up"].keys() == {"value", "low", "high", "p"}
    assert row["verdict"] == "faster"
    assert size["first_cost"] == {"amount": pytest.approx(0.02), "currency": "USD"}
