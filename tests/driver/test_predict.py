"""``pulldriver predict``: what it prints, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from driver import cli

REPOSITORY = "ghcr.io/converged-computing/container-chonks-run1"
STUDY_IMAGE = f"{REPOSITORY}:9-layers-size-1176249324-bytes"
OTHER_STUDY_IMAGE = f"{REPOSITORY}:125-layers-size-1176249324-bytes"
LAYERS = {
    "layers": [
        {"digest": f"sha256:{name * 64}", "size": size} for name, size in (("a", 30_000_000), ("b", 400_000_000))
    ]
}


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.run(["predict", *words])
    told = capsys.readouterr()
    return code, told.out, told.err


def told(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    code, out, err = run(capsys, *words, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(LAYERS))
    return path


def node(name: str, *images: str) -> dict[str, Any]:
    listed = [{"names": [image], "sizeBytes": 1} for image in images]
    return {"kind": "Node", "metadata": {"name": name}, "status": {"images": listed}}


def held(tmp_path: Path, *nodes: dict[str, Any]) -> Path:
    path = tmp_path / "nodes.json"
    path.write_text(json.dumps(nodes[0] if len(nodes) == 1 else {"kind": "List", "items": nodes}))
    return path


def test_times_and_what_they_ask_of_the_registry_are_shown_in_a_table(
    capsys: pytest.CaptureFixture[str], manifest: Path
) -> None:
    code, out, _ = run(capsys, "app:1", "--nodes", "4,64", "--manifest", str(manifest))
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("model eks-gp2; ")
    assert "app-1: 2 layers, 430 MB compressed, 1.13 GB unpacked" in lines
    assert [line.split()[0] for line in lines if " pull " in line] == ["4", "64"]
    assert sum("makespan" in line for line in lines) == 2
    assert any("times as long at 1.25 GB/s" in line for line in lines)
    assert any(line.startswith("assumed: what app:1 unpacks to is estimated") for line in lines)


def test_json_has_bounds_around_every_time(capsys: pytest.CaptureFixture[str], manifest: Path) -> None:
    (found,) = told(capsys, "app:1", "--nodes", "8", "--manifest", f"app:1={manifest}")["predictions"]
    assert found["size_source"] == "manifest"
    for name in ("pull", "makespan"):
        for share in ("p50", "p95", "p99"):
            estimate = found["job"][name][share]
            assert 0 < estimate["low"] <= estimate["value"] <= estimate["high"]
    assert found["registry"]["requests"] == {"token": 8, "manifest": 24, "config": 8, "blobs": 16}
    assert found["registry"]["bytes"] == 8 * 430_000_000
    assert found["registry"]["refusals"] == 0


def test_the_same_is_foretold_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    words = (STUDY_IMAGE, "--nodes", "4", "--seed", "3")
    assert told(capsys, *words) == told(capsys, *words)


def test_layers_that_nodes_hold_are_not_pulled(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = held(tmp_path, node("a", STUDY_IMAGE, "app:1"))
    answer = told(capsys, OTHER_STUDY_IMAGE, "--nodes", "4", "--held", str(path))
    (found,) = answer["predictions"]
    assert (found["layers"], found["missing_layers"]) == (125, 124)
    assert "1 held images, whose manifests are not known, are taken to share no layer" in answer["assumptions"]


def test_layers_of_a_held_image_are_known_by_its_manifest(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    inspected = [{"Ref": name, "OCIManifest": LAYERS} for name in ("app:1",)]
    inspected += [{"Ref": "app:2", "OCIManifest": {"layers": [LAYERS["layers"][0], {"digest": "sha256:c", "size": 5}]}}]
    files = []
    for entry in inspected:
        path = tmp_path / f"{entry['Ref']}.json"
        path.write_text(json.dumps(entry))
        files += ["--manifest", str(path)]
    words = ("app:2", "--nodes", "4", "--held", str(held(tmp_path, node("a", "docker.io/library/app:1"))))
    code, _, err = run(capsys, *words, *files)
    assert code == 0, err
    (found,) = told(capsys, *words, *files)["predictions"]
    assert (found["missing_layers"], found["missing_bytes"]) == (1, 5)


def test_an_image_that_all_nodes_hold_is_not_pulled_at_all(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = held(tmp_path, node("a", STUDY_IMAGE), node("b", STUDY_IMAGE))
    code, out, _ = run(capsys, STUDY_IMAGE, "--nodes", "4", "--held", str(path))
    assert code == 0
    assert "nothing is pulled: the nodes hold it" in out


def test_what_one_node_of_several_holds_is_pulled(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = held(tmp_path, node("a", STUDY_IMAGE), node("b"))
    (found,) = told(capsys, STUDY_IMAGE, "--nodes", "4", "--held", str(path))["predictions"]
    assert found["missing_layers"] == 9


def test_a_changed_model_foretells_other_times(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text('{"volume": {"unpack_bytes_per_second": 100e6}, "spread": {"pull_sigma": 0.02}}')
    slow = told(capsys, STUDY_IMAGE, "--nodes", "4", "--model", str(path))
    usual = told(capsys, STUDY_IMAGE, "--nodes", "4", "--profile", "eks")
    assert slow["model"] == f"eks-gp2 with {path}"
    assert (
        slow["predictions"][0]["job"]["pull"]["p50"]["value"]
        > 2 * usual["predictions"][0]["job"]["pull"]["p50"]["value"]
    )
    spread = [
        any("does not say what pulls and clusters differ by" in each for each in answer["assumptions"])
        for answer in (slow, usual)
    ]
    assert spread == [False, True]


def test_a_registry_that_refuses_makes_jobs_longer_and_no_pull(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "model.json"
    path.write_text('{"registry": {"requests_per_second": 1, "burst_requests": 4}}')
    words = (STUDY_IMAGE, "--nodes", "8")
    (few,), (all_of_them,) = (told(capsys, *words, *more)["predictions"] for more in (("--model", str(path)), ()))
    assert few["registry"]["refusals"] > 0
    assert all_of_them["registry"]["refusals"] == 0
    medians = [each["job"]["pull"]["p50"]["value"] for each in (few, all_of_them)]
    assert medians[0] == pytest.approx(medians[1], rel=0.05)
    assert few["job"]["makespan"]["p50"]["value"] > all_of_them["job"]["makespan"]["p50"]["value"] + 8


def test_the_draws_of_a_model_make_its_bounds_wider(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rates = [200e6, 280e6, 358e6, 440e6, 520e6]
    draws = [{"volume.unpack_bytes_per_second": rate} for rate in rates]
    calibration = {"profile": "eks", "study": "x", "records": [], "fitted": {}, "unidentified": {}, "draws": draws}
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"calibration": calibration}))
    rough = told(capsys, STUDY_IMAGE, "--nodes", "4", "--model", str(path))
    assert rough["draws"] == 5
    width = []
    for answer in (rough, told(capsys, STUDY_IMAGE, "--nodes", "4")):
        p50 = answer["predictions"][0]["job"]["pull"]["p50"]
        width.append(p50["high"] - p50["low"])
    assert width[0] > 2 * width[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("app:1", "--nodes", "4"), "image app:1: nothing tells its bytes; give --manifest FILE, or --ask-registry"),
        (("App:1", "--nodes", "4"), "image 'App:1' is no reference"),
        ((STUDY_IMAGE, STUDY_IMAGE, "--nodes", "4"), "an image is named twice"),
        ((STUDY_IMAGE, "--nodes", "many"), "--nodes: sizes 'many': not understood"),
        ((STUDY_IMAGE, "--nodes", "6000"), "--nodes 6000: 5,000 at most"),
        ((STUDY_IMAGE, "--nodes", "4", "--held", "none.json"), "--held none.json: No such file or directory"),
        ((STUDY_IMAGE, "--nodes", "4", "--model", "none.json"), "--model none.json: No such file or directory"),
        ((STUDY_IMAGE, "--nodes", "4", "--manifest", "none.json"), "none.json: No such file or directory"),
    ],
)
def test_wrong_use_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("text", ["{", "[]", '{"items": []}', '{"kind": "Node", "metadata": 5}', '{"items": [1]}'])
def test_a_file_without_nodes_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str) -> None:
    path = tmp_path / "nodes.json"
    path.write_text(text)
    code, _, err = run(capsys, STUDY_IMAGE, "--nodes", "4", "--held", str(path))
    assert code == 2
    assert "give what kubectl get nodes -o json prints" in err
