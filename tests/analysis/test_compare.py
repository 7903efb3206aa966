"""Two studies side by side."""

import json
import random
import re
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from driver import cli
from pullstudy.analysis.comparison.compare import Comparison, compare
from pullstudy.analysis.comparison.text import lines
from pullstudy.analysis.findings.comparison import Compared, Quantity
from pullstudy.analysis.findings.finding import Verdict
from pullstudy.analysis.findings.thresholds import parse_threshold
from pullstudy.analysis.report.facts import gather_facts
from pullstudy.analysis.report.sections.environment import build as environment_section
from pullstudy.analysis.statistics.speed_up import Answer
from pullstudy.pulls.cache import CacheState
from pullstudy.pulls.milestone import Moment
from pullstudy.pulls.record import Outcome
from pullstudy.store.embedded.ledger import JobState, Ledger
from tests.analysis.hand_made import HandMade, image_of

M = Moment
IMAGE = image_of(9, 1_000_000_000)
OTHER_REGISTRY = IMAGE.replace("ghcr.io/converged-computing", "registry.example/near")
Capture = pytest.CaptureFixture[str]


def study(
    directory: Path,
    pulling: float,
    *,
    cache: CacheState = CacheState.COLD,
    cluster: str = "c-4",
    images: tuple[str, ...] = (IMAGE,),
    environment: dict[str, object] | None = None,
    pods: int = 4,
    jobs: int = 3,
    spread: float = 0.01,
) -> Path:
    """Jobs whose pods pull in ``pulling`` seconds and a little, each job a bit longer than the one before."""
    made = HandMade(cluster=cluster, size=4, environment=environment or {"nodes": 4, "kernels": ["6.1"]})
    for place, image in enumerate(images):
        for repeat in range(jobs):
            job, took = f"j{place}-{repeat}", pulling + 0.1 * repeat
            made.job(job, image, 0, pulling + 10 + repeat / 100)
            for index in range(pods):
                pulled = 2 + took + spread * index
                times = {M.SCHEDULED: 1, M.PULLING: 2, M.PULLED: pulled, M.STARTED: pulled + 1}
                made.life(job, f"{job}-p{index}", image, times, node=f"node-{index % 4}")
                made.cache(job, f"node-{index % 4}", cache)
    made.write(directory)
    return directory


def pulls_of(found: Comparison) -> Compared:
    return found.compared.quantities[Quantity.PULLS].overall


def words(found: Comparison) -> list[str]:
    return [str(difference) for difference in found.differences]


def test_a_study_twice_as_fast_has_verdicts_for_pulls_makespans_and_cost(tmp_path: Path) -> None:
    found = compare(study(tmp_path / "a", 20), study(tmp_path / "b", 10)).compared
    pulls, makespan, cost = (
        found.quantities[each].overall for each in (Quantity.PULLS, Quantity.MAKESPAN, Quantity.COST)
    )
    assert pulls.speed_up.value == pytest.approx(1.99, abs=0.01)
    assert makespan.speed_up.value == pytest.approx(1.5, abs=0.01)
    assert [each.answer for each in (pulls, makespan, cost)] == [Answer.FASTER] * 3
    assert (pulls.first_jobs, pulls.second_jobs) == (3, 3)
    assert 1.7 < (pulls.speed_up.low or 0) < pulls.speed_up.value < (pulls.speed_up.high or 0) < 2.4
    assert cost.first == pytest.approx(4 * 30.01 / 3600 * 0.6)
    assert found.currency == "USD"


def test_a_steadier_study_is_said_to_be_narrower(tmp_path: Path) -> None:
    found = compare(study(tmp_path / "a", 20, spread=2.0), study(tmp_path / "b", 20, spread=0.2))
    spread = found.compared.quantities[Quantity.RANGE].overall
    assert spread.answer is Answer.FASTER
    assert re.search(r"interquartile range +3\.00 s +0\.30 s +0\.100 .*narrower", "\n".join(lines(found)))


def test_a_job_is_one_value_whatever_its_containers(tmp_path: Path) -> None:
    """Two images in each pod: one makespan a job, of the time that the job took."""
    for name in ("a", "b"):
        made = HandMade(cluster="c-4", size=4, environment={"nodes": 4})
        for repeat in range(3):
            made.job(f"j{repeat}", IMAGE, 100 * repeat, 100 * repeat + 40 + repeat)
            for index in range(4):
                pod = f"j{repeat}-p{index}"
                times = {M.SCHEDULED: 1, M.PULLING: 2, M.PULLED: 12, M.STARTED: 13}
                shifted = {moment: 100 * repeat + second for moment, second in times.items()}
                made.life(f"j{repeat}", pod, IMAGE, shifted, node=f"node-{index}", container="main")
                made.pull(f"j{repeat}", pod, image_of(9, 5), 3.0, node=f"node-{index}", container="side")
        made.write(tmp_path / name)
    makespan = compare(tmp_path / "a", tmp_path / "b").compared.quantities[Quantity.MAKESPAN].overall
    assert (makespan.first, makespan.first_jobs) == (pytest.approx(41), 3)


def test_the_answer_comes_first_and_no_line_ends_in_a_blank(tmp_path: Path) -> None:
    text = list(lines(compare(study(tmp_path / "a", 20), study(tmp_path / "b", 10)), whole=True))
    assert re.match(r"median pull +20\.1 s +10\.1 s +1\.9\d\d +1\.\d\d\d to 2\.\d\d\d +faster +3/3", text[3])
    assert any(re.match(r"1 GB, 9 layers +4 +cold +20\.1 s", line) for line in text)
    assert not [line for line in text if line.endswith(" ")]
    assert any("clusters of one kind differ by 5%" in line for line in text)


def test_images_are_chosen_by_a_pattern(tmp_path: Path) -> None:
    images = (IMAGE, "registry.example/team/app:1", "registry.example/team/other:1")
    sides = study(tmp_path / "a", 20, images=images), study(tmp_path / "b", 10, images=images)
    for patterns, names in (
        (["app:*"], {"app:1"}),
        (["*/team/*"], {"app:1", "other:1"}),
        (["app*", "oth*"], {"app:1", "other:1"}),
        (["nothing"], set()),
    ):
        found = compare(*sides, images=patterns).compared.quantities
        assert {item.name for part in found.values() for _, item in part.images} == names


def test_different_environments_are_said_and_treatments_first(tmp_path: Path) -> None:
    streaming: dict[str, object] = {
        "nodes": 4,
        "kernels": ["5.10"],
        "labels": {"cloud.google.com/gke-image-streaming": "true"},
    }
    found = compare(study(tmp_path / "a", 20), study(tmp_path / "b", 20, environment=streaming))
    assert words(found) == [
        "environments differ in labels.cloud.google.com/gke-image-streaming: not recorded and true",
        "environments differ in kernels: 6.1 and 5.10",
    ]


def test_kubelets_whose_durations_hold_the_waiting_are_said(tmp_path: Path) -> None:
    old: dict[str, object] = {"nodes": 4, "kernels": ["6.1"], "kubelets": ["v1.25.16-eks", "v1.27.3"]}
    found = compare(study(tmp_path / "a", 20), study(tmp_path / "b", 20, environment=old))
    assert words(found)[0].startswith(
        "kubelets of the second are v1.25.16-eks: before 1.26 a duration can include waiting"
    )


def test_many_differences_are_a_few_lines_unless_all_are_asked_for(tmp_path: Path) -> None:
    many: dict[str, object] = {"nodes": 4, **{f"thing_{place}": ["b"] for place in range(9)}}
    few: dict[str, object] = {"nodes": 4, **{f"thing_{place}": ["a"] for place in range(9)}}
    found = compare(study(tmp_path / "a", 20, environment=few), study(tmp_path / "b", 20, environment=many))
    told = [line for line in lines(found) if line.startswith("- ")]
    assert len(told) == 6
    assert told[-1] == "- 4 more differences: --all or --json tells them"
    assert len([line for line in lines(found, whole=True) if line.startswith("- ")]) == 9


def test_cache_states_that_do_not_match_are_said_and_never_compared(tmp_path: Path) -> None:
    found = compare(study(tmp_path / "a", 20), study(tmp_path / "b", 1, cache=CacheState.WARM))
    assert found.compared.quantities == {}
    assert any("only the first has pulls with cache state cold" in each for each in words(found))
    assert any("only the second has pulls with cache state warm" in each for each in words(found))
    assert "nothing to compare" in "\n".join(lines(found))


def test_the_same_image_of_another_registry_is_compared_and_said(tmp_path: Path) -> None:
    found = compare(study(tmp_path / "a", 20), study(tmp_path / "b", 10, images=(OTHER_REGISTRY,)))
    assert pulls_of(found).answer is Answer.FASTER
    assert any("registry.example/near" in each for each in words(found))


def test_a_simulation_against_reality_is_said(tmp_path: Path) -> None:
    found = compare(study(tmp_path / "a", 20), study(tmp_path / "b", 20, cluster="sim-4"))
    assert "the second is simulated, the other is not" in words(found)
    assert found.simulated


def test_a_study_compared_with_itself_is_alike_and_meets_no_bar(tmp_path: Path, aws_directory: Path) -> None:
    bars = [parse_threshold(text) for text in ("median > 1.10", "p95 > 1", "makespan > 0s", "failures > 0")]
    found = compare(aws_directory, aws_directory, bars=bars)
    assert {part.overall.answer for part in found.compared.quantities.values()} == {Answer.ALIKE}
    assert {bar.verdict for bar in found.bars} == {Verdict.NO}
    assert any("whether the nodes were the same is unknown" in each for each in words(found))


def test_many_pulls_of_one_job_each_are_no_evidence(tmp_path: Path) -> None:
    found = compare(study(tmp_path / "a", 20, jobs=1), study(tmp_path / "b", 19, jobs=1))
    assert pulls_of(found).speed_up.low is None
    assert pulls_of(found).answer is Answer.UNKNOWN


def test_what_has_no_duration_is_said_where_a_side_would_look_the_faster_for_it(tmp_path: Path) -> None:
    failing = HandMade(cluster="c-4", size=4, environment={"nodes": 4, "kernels": ["6.1"]})
    for place in range(3):
        failing.pull("j0", f"p{place}", IMAGE, 20.0, node=f"node-{place}")
        failing.cache("j0", f"node-{place}", CacheState.COLD)
    failing.pull("j0", "p3", IMAGE, None, outcome=Outcome.FAILED, error="429", event_uid="u", count=1)
    failing.pull("j0", "p3", IMAGE, None, outcome=Outcome.FAILED, error="429", event_uid="u", count=5)
    failing.job("j0", IMAGE, 0, None, state=JobState.FAILED, error="too many requests")
    failing.write(tmp_path / "b")
    found = compare(study(tmp_path / "a", 20), tmp_path / "b")
    assert "0 failed attempts in the first and 5 in the second are in no median" in words(found)
    assert "0 failed jobs in the first and 1 in the second are in no makespan" in words(found)
    assert found.compared.failures is not None
    assert (found.compared.failures.first, found.compared.failures.second) == (0, 5)


@pytest.mark.parametrize(
    ("conditions", "code"),
    [
        (["median > 1.10"], 1),
        (["makespan > 5s"], 1),
        (["makespan > 15s"], 0),
        (["cost > 1.10", "failures > 3"], 1),
        (["failures > 3"], 0),
        (["median > 2.0"], 3),
        (["p99 > 1.10"], 3),
        (["median > 2.0", "makespan > 1.1"], 1),
    ],
)
def test_a_bar_ends_with_a_code_that_a_script_can_read(
    tmp_path: Path, capsys: Capture, conditions: list[str], code: int
) -> None:
    sides = [str(study(tmp_path / "a", 10)), str(study(tmp_path / "b", 20))]
    arguments = ["compare", *sides, *(word for condition in conditions for word in ("--fail-if", condition))]
    assert cli.run(arguments) == code
    assert all(f"{condition}: " in capsys.readouterr().out for condition in conditions[:1])


def test_a_bar_that_is_none_is_one_line_and_code_2(tmp_path: Path, capsys: Capture) -> None:
    assert cli.run(["compare", "a", "b", "--fail-if", "p95 of 3"]) == 2
    complained = capsys.readouterr().err
    assert complained.startswith("pulldriver: --fail-if 'p95 of 3' is no condition: give one of median, p95")
    assert complained.count("\n") == 1


def test_json_has_a_finding_for_each_figure_and_each_bar(tmp_path: Path, capsys: Capture) -> None:
    sides = [str(study(tmp_path / "a", 20)), str(study(tmp_path / "b", 10))]
    assert cli.run(["compare", *sides, "--json"]) == 0
    told = capsys.readouterr().out
    assert cli.run(["compare", *sides, "--format", "json"]) == 0
    assert capsys.readouterr().out == told
    found = msgspec.json.decode(told)
    assert found.keys() == {"first", "second", "simulated", "notes", "differences", "findings"}
    first = found["findings"][0]
    assert (first["id"], first["subject"], first["verdict"], first["n"], first["counts"]) == (
        *("speed-up", "all", "yes", 6, "jobs"),
    )
    assert first["interval"][0] < first["value"] < first["interval"][1]
    assert "size" not in first
    assert {each["id"] for each in found["findings"]} >= {"makespan-speed-up", "cost-ratio", "spread-ratio"}
    assert cli.run(["compare", *sides, "--json", "--fail-if", "median > 1.10"]) == 0
    assert msgspec.json.decode(capsys.readouterr().out)["findings"][-1]["id"] == "bar"


def test_clusters_that_are_sure_to_be_alike_can_be_said_to_be(tmp_path: Path, capsys: Capture) -> None:
    sides = [str(study(tmp_path / "a", 20)), str(study(tmp_path / "b", 21))]
    assert cli.run(["compare", *sides, "--fail-if", "median > 1.01"]) == 3
    assert cli.run(["compare", *sides, "--fail-if", "median > 1.01", "--cluster-spread", "0"]) == 1


def test_a_p95_of_many_pulls_has_an_interval(tmp_path: Path) -> None:
    source = random.Random(5)
    for name, factor in (("a", 1.0), ("b", 1.6)):
        made = HandMade(cluster="c-64", size=64, environment={"nodes": 64})
        for repeat in range(8):
            for index in range(64):
                took = factor * 10 * source.lognormvariate(0, 0.08)
                made.pull(f"j{repeat}", f"j{repeat}-p{index}", IMAGE, took, node=f"node-{index}")
        made.write(tmp_path / name)
    found = compare(tmp_path / "a", tmp_path / "b", bars=[parse_threshold("p95 > 1.10")])
    tail = found.compared.quantities[Quantity.P95].overall
    assert tail.answer is Answer.SLOWER
    assert (tail.speed_up.high or 1) < 1 / 1.3
    assert [bar.verdict for bar in found.bars] == [Verdict.YES]


def simulated(directory: Path, provider: str, model: dict[str, dict[str, float]], image_bytes: int) -> Path:
    """A run of an image of so many bytes, and of one of which nobody told them."""
    made = HandMade(cluster=f"{provider}-c-4", size=4, environment={"provider": {"model": model}})
    for job, image in (("j", "app:1"), ("k", "other:1")):
        made.pull(job, f"{job}-0", image, 5.0)
        made.job(job, image, 0.0, 10.0)
    made.write(directory, provider=provider)
    sizes = {"app:1": {"compressed_bytes": image_bytes}, "other:1": {"compressed_bytes": 7, "source": "guessed"}}
    with closing(Ledger(directory, create=True)) as ledger:
        (run,) = ledger.runs()
        study = {**json.loads(run.study), provider: {"model": model}, "images": {"sizes": sizes}}
        ledger.put_run(msgspec.structs.replace(run, study=json.dumps(study)))
    return directory


@pytest.mark.parametrize("provider", ["sim", "kwok"])
def test_what_was_simulated_differently_is_told(tmp_path: Path, provider: str) -> None:
    first = simulated(tmp_path / "a", provider, {"volume": {"write_bytes_per_second": 1e8}}, 5)
    second = simulated(tmp_path / "b", provider, {"volume": {"write_bytes_per_second": 2e8}}, 6)
    told = [str(each) for each in compare(first, second).differences]
    assert "the simulator's model.volume.write_bytes_per_second: 100000000.0 and 200000000.0" in told
    assert "the simulated sizes of app:1" in told
    assert "sizes of images are guessed: of 1 in the first, of 1 in the second" in told
    page = "".join(map(str, environment_section(gather_facts(second)).blocks))
    assert "provider.model.volume.write bytes per second" in page
