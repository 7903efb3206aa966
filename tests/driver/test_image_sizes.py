"""How large a study's images are: who says it, what plans and simulated pulls make of it, and what is kept."""

import asyncio
import csv
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from driver.cli import run
from driver.commands.plan_command import say_plan
from driver.commands.provider_plan import plan_of, with_image_sizes
from driver.errors import UsageError
from driver.planning.image_sizes import with_guesses
from driver.planning.study import ClusterPlan, Images, Overrides, Study, load_study
from driver.progress import say_job
from driver.providers import make_provider
from pullstudy.pulls.image_size import ImageSize, SizeSource, guessed_size
from tests.driver.registries.loopback_registry import LoopbackRegistry, manifest
from tests.driver.sweeps import LIMITS, rows, run_command, run_sweep

Capture = pytest.CaptureFixture[str]
STATED, GUESSED = "registry.example/stated:1", "registry.example/guessed:1"
GB = 1_000_000_000


def study_file(directory: Path, images: str, more: tuple[str, ...] = (STATED, GUESSED)) -> Path:
    path = directory / "study.toml"
    path.write_text(f'name = "own"\n[cluster]\nsizes = [2]\n[images]\ntags = []\nmore = {json.dumps(more)}\n{images}')
    return path


def loaded(directory: Path, images: str, more: tuple[str, ...] = (STATED,), **overrides: Any) -> Study:
    return load_study(study_file(directory, images, more), Overrides(**overrides))


def size_of(study: Study, image: str = STATED) -> ImageSize:
    return study.images.sizes[image]


@pytest.mark.parametrize(
    ("table", "layer_bytes", "unpacked"),
    [
        ("compressed_bytes = 100\nlayers = 4", (25, 25, 25, 25), 263),
        ("compressed_bytes = 100\nunpacked_bytes = 300", (100,), 300),
        ("layers = [70, 30]\nunpacked_bytes = 300", (70, 30), 300),
        ("layers = [70, 30]\ncompressed_bytes = 100", (70, 30), 263),
    ],
)
def test_study_toml_states_the_size_of_an_image(
    tmp_path: Path, table: str, layer_bytes: tuple[int, ...], unpacked: int
) -> None:
    size = size_of(loaded(tmp_path, f'[images.sizes."{STATED}"]\n{table}'))
    assert (size.layer_bytes, size.unpacked, size.source) == (layer_bytes, unpacked, SizeSource.STUDY)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (f'"{STATED}".layers = 3', "compressed_bytes, or a list of layers, is wanted"),
        (f'"{STATED}" = {{ layers = [1, 2], compressed_bytes = 4 }}', "its layers have 3 bytes together"),
        (f'"{STATED}".compressed = 3', "unknown key 'compressed'"),
        (f'"{STATED}".compressed_bytes = -3', ">= 0"),
        ('"registry.example/stated:2".compressed_bytes = 3', "is no image of the study: did you mean"),
        (f'"{STATED}" = {{ layers = [1, 2], digests = ["a"] }}', "2 layers have 1 digests"),
    ],
)
def test_a_size_that_makes_no_sense_is_refused(tmp_path: Path, table: str, complaint: str) -> None:
    with pytest.raises(UsageError) as told:
        loaded(tmp_path, f"[images.sizes]\n{table}")
    assert complaint in str(told.value)


VERBOSE = [
    {
        "Ref": f"{STATED}@sha256:{letter * 64}",
        "Descriptor": {"platform": {"os": "linux", "architecture": architecture}},
        "OCIManifest": json.loads(manifest(size)),
    }
    for letter, architecture, size in (("a", "arm64", 1), ("b", "amd64", 2))
]


@pytest.mark.parametrize(
    ("content", "named", "layers"),
    [
        (manifest(10, 20), "", (10, 20)),
        (manifest(10, 20), f"{STATED}=", (10, 20)),
        (json.dumps(VERBOSE).encode(), "", (2,)),
        (json.dumps(VERBOSE[0]).encode(), "", (1,)),
        (
            json.dumps({"uri": "registry.example/stated", "manifests": {"1": json.loads(manifest(7))}}).encode(),
            "",
            (7,),
        ),
    ],
)
def test_a_file_of_manifests_tells_the_layers(
    tmp_path: Path, content: bytes, named: str, layers: tuple[int, ...]
) -> None:
    (tmp_path / "m.json").write_bytes(content)
    size = size_of(loaded(tmp_path, f'manifests = ["{named}m.json"]'))
    assert (size.layers, size.source) == (layers, SizeSource.MANIFEST)
    by_option = loaded(tmp_path, "", manifests=(f"{named}{tmp_path / 'm.json'}",))
    assert size_of(by_option) == size


def test_what_study_toml_states_goes_over_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_bytes(manifest(10))
    study = loaded(tmp_path, f'manifests = ["m.json"]\n[images.sizes]\n"{STATED}".compressed_bytes = 99')
    assert size_of(study).compressed == 99


def test_the_tag_of_the_studys_own_images_still_tells_their_unpacked_bytes(tmp_path: Path) -> None:
    image = "r.example/x:9-layers-size-1176249324-bytes"
    (tmp_path / "m.json").write_bytes(manifest(10))
    assert size_of(loaded(tmp_path, 'manifests = ["m.json"]', (image,)), image).unpacked == 1176249324


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b'{"manifests": []}', "an index of platforms"),
        (b'{"layers": []}', "a manifest of 0 layers"),
        (b'{"layers": [{"digest": "d", "size": -5}]}', "with -5 bytes"),
        (b"[]", "none is of an image of the study"),
        (b'{"Ref": "other:1", "OCIManifest": {"layers": []}}', "none is of an image of the study"),
        (b'{"a": 1}', "no image manifest"),
        (b"{", "no image manifest"),
    ],
)
def test_a_file_that_tells_nothing_of_the_study_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "m.json").write_bytes(content)
    with pytest.raises(UsageError, match=complaint):
        loaded(tmp_path, 'manifests = ["m.json"]')


def test_a_single_manifest_of_a_study_of_several_images_has_to_be_given_with_its_image(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_bytes(manifest(10))
    with pytest.raises(UsageError, match="does not say of which image it is; give it as IMAGE="):
        loaded(tmp_path, 'manifests = ["m.json"]', (STATED, GUESSED))


def planned(study: Study, provider: str) -> str:
    there = make_provider(provider, None)
    return "\n".join(say_plan(plan_of(with_image_sizes(study, there, ask_registry=False), there)))


def test_a_plan_says_who_tells_the_sizes_and_which_are_guessed(tmp_path: Path) -> None:
    study = loaded(tmp_path, f'[images.sizes]\n"{STATED}".compressed_bytes = 5', (STATED, GUESSED))
    said = planned(study, "sim")
    assert "bytes    of 1 images from study.toml; of 1 taken as 2.6 times as many unpacked" in said
    assert "guessed  the sizes, and so the times, of 1 of 2 images, whose names tell no size: guessed-1" in said
    assert "guessed  the sizes" in planned(study, "eks")
    assert "guessed" not in planned(loaded(tmp_path, f'[images.sizes]\n"{STATED}".compressed_bytes = 5'), "sim")


def test_a_plan_of_real_nodes_goes_by_the_bytes_that_are_stated(tmp_path: Path) -> None:
    tables = [f'[images.sizes."{STATED}"]\ncompressed_bytes = 1\nunpacked_bytes = {size * GB}' for size in (1, 11)]
    small, large = (plan_of(loaded(tmp_path, table), make_provider("eks", None)).sizes[0].seconds for table in tables)
    assert large - small == pytest.approx(77.0)


def own_study(image: str, size: ImageSize | None = None) -> Study:
    return Study(
        name="own",
        cluster=ClusterPlan(sizes=(2,)),
        images=Images(tags=(), more=(image,), sizes={image: size} if size else {}),
        limits=LIMITS,
    )


async def test_simulated_pulls_are_of_the_bytes_that_are_stated(tmp_path: Path) -> None:
    large = ImageSize(compressed_bytes=4 * GB, unpacked_bytes=11 * GB, layers=8)
    await run_sweep(own_study(STATED, large), tmp_path)
    pulls = rows(tmp_path, "SELECT pull_seconds, image_bytes FROM pulls WHERE outcome = 'pulled'")
    assert len(pulls) == 2
    for seconds, image_bytes in pulls:
        assert image_bytes == pytest.approx(4 * GB, rel=1e-5)
        assert seconds > 40.0, "11 GB, of which the page cache takes some"


@pytest.fixture
async def swept(tmp_path: Path) -> Path:
    """A sweep of an image whose size is stated and of one whose size is guessed."""
    file = study_file(tmp_path, f'[images.sizes]\n"{STATED}".compressed_bytes = 50_000_000')
    _, heard = await run_sweep(with_guesses(load_study(file, Overrides())), tmp_path / "out")
    assert [say_job(summary).split(",")[0] for summary in heard.jobs] == [
        "  1/2 stated-1",
        "  2/2 guessed-1 (size guessed)",
    ]
    return tmp_path / "out"


def test_what_was_used_is_kept_shown_exported_and_gone_on_with(swept: Path, capsys: Capture) -> None:
    ((kept,),) = rows(swept, "SELECT study FROM runs")
    sizes = msgspec.convert(json.loads(kept)["images"]["sizes"], dict[str, ImageSize])
    assert sizes == {STATED: ImageSize(compressed_bytes=50_000_000), GUESSED: guessed_size(GUESSED)}
    assert json.loads(kept)["images"]["sizes"][STATED]["source"] == "study.toml"

    assert run(["report", "--json", "--out", str(swept)]) == 0
    assert json.loads(capsys.readouterr().out)["guessed_sizes"] == [GUESSED]
    assert run(["report", "--out", str(swept)]) == 0
    assert "the sizes of 1 of 2 images are guessed" in (swept / "report.html").read_text()

    assert run(["export", "pulls", "--out", str(swept), "--to", str(swept / "pulls.csv")]) == 0
    with (swept / "pulls.csv").open(newline="") as table:
        told = {row["image"]: (row["compressed_bytes"], row["size_source"]) for row in csv.DictReader(table)}
    assert told == {
        STATED: ("50000000", "study.toml"),
        GUESSED: (str(guessed_size(GUESSED).compressed), "guessed"),
    }

    capsys.readouterr()
    assert run(["sweep", "--resume", "--study", str(swept.parent / "study.toml"), "--out", str(swept)]) == 0
    study_file(swept.parent, f'[images.sizes]\n"{STATED}".compressed_bytes = 50_000_001')
    assert run(["sweep", "--resume", "--study", str(swept.parent / "study.toml"), "--out", str(swept)]) == 2
    assert "compressed_bytes = 50000000, not 50000001" in capsys.readouterr().err


@pytest.fixture
async def registry() -> AsyncIterator[LoopbackRegistry]:
    async with LoopbackRegistry().serving() as serving:
        yield serving


async def test_registries_are_asked_only_on_request_and_of_what_nothing_else_tells(
    registry: LoopbackRegistry, tmp_path: Path
) -> None:
    image, stated = registry.image("app", "1"), registry.image("stated", "1")
    registry.put("app", "1", manifest(10, 20))
    file = study_file(tmp_path, f'[images.sizes]\n"{stated}".compressed_bytes = 5', (image, stated))
    words = ("plan", "--json", "--study", str(file))
    unasked = await asyncio.to_thread(run_command, *words)
    assert registry.seen == []
    assert json.loads(unasked.stdout)["guessed"] == [image]
    asked = await asyncio.to_thread(run_command, *words, "--ask-registry")
    plan = json.loads(asked.stdout)
    assert plan["guessed"] == []
    assert {name: size["source"] for name, size in plan["image_sizes"].items()} == {
        image: "registry",
        stated: "study.toml",
    }
    assert [path for path, _ in registry.seen] == ["/v2/app/manifests/1"]
    registry.status = 404
    missing = await asyncio.to_thread(run_command, *words, "--ask-registry")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr.startswith(f"pulldriver: image {image}: {registry.netloc} has no such image (404); check")


def test_a_guess_is_the_same_for_the_same_name() -> None:
    study = with_guesses(own_study(STATED))
    assert size_of(study) == guessed_size(STATED)
    assert with_guesses(study) == study
    assert 30_000_000 <= guessed_size(STATED).compressed <= 120_000_000
