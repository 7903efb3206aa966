"""Two studies side by side."""

import re
from pathlib import Path

from analysis.compare import compare
from pulls.cache import CacheState
from pulls.milestone import Moment
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
) -> Path:
    """One job whose pods pull in ``pulling`` seconds and a little."""
    made = HandMade(cluster=cluster, size=4, environment={"nodes": 4, "kernels": [kernel]})
    made.job("j", image, 0, pulling + 10)
    for index in range(pods):
        times = {M.SCHEDULED: 1, M.PULLING: 2, M.PULLED: 2 + pulling + 0.01 * index, M.STARTED: 3 + pulling}
        made.life("j", f"p{index}", image, times, node=f"node-{index % 4}")
        made.cache("j", f"node-{index % 4}", cache)
    made.write(directory)
    return directory


def test_a_faster_study_has_a_speed_up_with_its_interval_and_both_costs(tmp_path: Path) -> None:
    found = compare(study(tmp_path / "a", 20), study(tmp_path / "b", 10))
    (row,) = found.pulls
    assert row.speed_up is not None
    assert round(row.speed_up.value, 2) == 2.0
    assert row.speed_up.verdict == "faster"
    (size,) = found.sizes
    assert (size.first_seconds, size.second_seconds) == (30, 20)
    assert (size.first_cost, size.second_cost) == ("0.02 USD", "0.01 USD")
    assert found.cautions == ()


def test_the_text_shows_every_row_and_ends_in_no_blanks(tmp_path: Path) -> None:
    text = str(compare(study(tmp_path / "a", 20), study(tmp_path / "b", 10)))
    assert re.search(r"1 GB, 9 layers +4 +cold +20\.0 s +10\.0 s +8/8 +1\.9\d\d", text)
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
    assert any("whether the nodes were alike is unknown" in caution for caution in found.cautions)
    assert {row.speed_up.verdict for row in found.pulls if row.speed_up} == {"no difference beyond chance"}
