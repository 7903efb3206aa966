"""``pulldriver calibrate``: a model of the user's own cluster, and what it says where there is none."""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from driver import cli
from driver.commands.calibrate_command import say_records
from driver.planning.calibration_records import CalibrationRecords, known_sizes
from driver.planning.study import Overrides, load_study
from pullstudy.analysis.reading.layers import Layer
from pullstudy.sim.model.model_file import parse_model
from pullstudy.sim.model.parameters import PROFILES

NEAR = "gke-pd-near-registry"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = cli.run([str(word) for word in words])
    told = capsys.readouterr()
    return code, told.out, told.err


@pytest.fixture(scope="module")
def imported(study_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images on 4 and on 8 nodes."""
    out = tmp_path_factory.mktemp("study")
    for size in (4, 8):
        files = [str(study_data / NEAR / name) for name in (f"events-{size}.jsonl", f"nodes-{size}.json")]
        assert cli.run(["import", *files, "--size", str(size), "--run", "near", "--out", str(out)]) == 0
    return out


def test_a_model_is_written_that_a_sweep_takes_and_keeps(
    imported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "model.json"
    code, out, err = run(
        capsys, "calibrate", "--out", imported, "--to", to, "--profile", "gke-local-ssd", "--hold-out", "8"
    )
    assert code == 0
    assert "model of 6 jobs with 12 pulls on near-4 (4 nodes), from the profile gke-local-ssd" in out
    assert "volume.write_bytes_per_second" in out
    assert "network.bytes_per_second" in out
    assert f"next: pulldriver predict IMAGE --nodes 64 --model {to}" in out
    assert "fitting 6 jobs" in err
    model = parse_model(to.read_bytes())
    assert model.calibration is not None
    size = next(each for each in model.calibration.held_out if each.left_out == "size")
    assert (size.jobs, size.median_error < 0.06) == (6, True)
    assert size.median_error < size.regression
    plan = load_study(None, Overrides(model=to)).sim
    assert plan.model == json.loads(to.read_bytes())
    assert model.parameters(PROFILES["eks"]).volume.write_bytes_per_second < 200e6


def test_the_model_is_printed_as_json_and_is_the_same_each_time(
    imported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("calibrate", "--out", imported, "--hold-out", "8", "--json", "--to")
    first, second = (run(capsys, *words, tmp_path / name)[1] for name in ("a.json", "b.json"))
    assert first == second == (tmp_path / "a.json").read_text()
    assert parse_model(first.encode()).calibration is not None


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--hold-out", "16"), 2, "--hold-out 16: no job that can be used ran on so many nodes; there is 4, 8"),
        (("--hold-out", "many"), 2, "--hold-out: sizes 'many': not understood"),
        (("--profile", "gke-streaming"), 1, "0 jobs of 0 images can be used: a model needs 3 jobs, of 2 images"),
        (("--hold-out", "4,8"), 1, "0 jobs of 0 images can be used"),
        (("--profile", "azure"), 2, "azure"),
        (("--cluster", "absent"), 2, "absent"),
    ],
)
def test_what_cannot_be_is_one_line(
    imported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, said: str
) -> None:
    to = tmp_path / "model.json"
    got, out, err = run(capsys, "calibrate", "--out", imported, "--to", to, *words)
    assert (got, out) == (code, "")
    assert said in err.splitlines()[-1]
    assert not to.exists()


def test_jobs_that_cannot_be_used_are_counted_by_the_reason(
    study_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "study"
    events = study_data / "gke-streaming-off" / "events-4.jsonl"
    assert run(capsys, "import", events, "--size", 4, "--out", out)[0] == 0
    code, _, err = run(capsys, "calibrate", "--out", out, "--to", tmp_path / "model.json")
    assert code == 1
    assert "left out: 4 jobs of several images" in err


def test_images_whose_bytes_nothing_tells_are_named_with_what_tells_them() -> None:
    records = CalibrationRecords([], Counter({"of images whose bytes nothing tells": 2}), ("r/a:1", "r/b:1"))
    assert list(say_records(records)) == [
        "left out: 2 jobs of images whose bytes nothing tells",
        "no bytes are known of r/a:1, r/b:1: give --manifests FILE or --ask-registry",
    ]


def test_without_scipy_the_extra_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    code, _, err = run(capsys, "calibrate", "--out", tmp_path, "--to", tmp_path / "model.json")
    assert (code, "pip install 'pullstudy[calibrate]'" in err) == (2, True)


def test_layers_of_imported_manifests_tell_bytes() -> None:
    class Ledger:
        runs: tuple[Any, ...] = ()

    class Study:
        ledger = Ledger()
        layers = tuple(
            Layer(repository="r/x", tag="1", position=place, digest=f"sha256:{place}", layer_bytes=size)
            for place, size in ((1, 20), (0, 10))
        )

    (size,) = known_sizes(Study()).values()  # type: ignore[arg-type]
    assert (size.layers, size.digests) == ((10, 20), ("sha256:0", "sha256:1"))
