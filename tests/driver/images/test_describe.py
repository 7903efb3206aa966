"""An image's layers from a registry, a layout or a manifest; and images made like it."""

import json
from pathlib import Path

import pytest

from driver import cli
from driver.errors import UsageError
from driver.images.asked import AskedImages
from driver.images.build import build
from driver.images.describe import DescribedImage, DescribedLayer, LayerError, describe
from driver.images.layout import Layout
from driver.images.order import Matrix, compressions_of
from driver.registries.registry import RegistryError
from tests.driver.registries.loopback_registry import LoopbackRegistry, digest_of

GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
Capture = pytest.CaptureFixture[str]


def manifest(*layers: tuple[str, int]) -> bytes:
    found = [{"mediaType": kind, "digest": digest_of(str(size).encode()), "size": size} for kind, size in layers]
    return json.dumps({"schemaVersion": 2, "layers": found}).encode()


def made(directory: Path, **options: str) -> Layout:
    layout = Layout(directory)
    list(build(layout, AskedImages(**options).orders({}), 2))  # type: ignore[arg-type]
    return layout


@pytest.mark.parametrize("compression", ["gzip:6", "zstd:3", "none"])
def test_of_a_layout_files_and_unpacked_bytes_are_known_too(tmp_path: Path, compression: str) -> None:
    made(tmp_path, layers="2", sizes="100001", compression=compression, files="5")
    (image,) = describe(str(tmp_path), {})
    assert image.name == "2-layers-size-100001-bytes"
    assert [(layer.files, layer.unpacked_bytes) for layer in image.layers] == [(5, 50_000), (5, 50_001)]
    sizes = [(tmp_path / "blobs" / layer.digest.replace(":", "/")).stat().st_size for layer in image.layers]
    assert [layer.bytes for layer in image.layers] == sizes


def test_one_image_of_a_layout_is_named_behind_a_colon(tmp_path: Path) -> None:
    made(tmp_path, layers="1,2", sizes="50000", compression="gzip,none")
    assert len(describe(str(tmp_path), {})) == 4
    (image,) = describe(f"{tmp_path}:none:2-layers-size-50000-bytes", {})
    assert len(image.layers) == 2
    with pytest.raises(UsageError, match=r"has no image absent, but gzip-6:1-layers"):
        describe(f"{tmp_path}:absent", {})


async def test_of_a_registry_its_manifest_tells(tmp_path: Path) -> None:
    async with LoopbackRegistry().serving() as registry:
        registry.put("team/app", "1", manifest((GZIP, 10), (ZSTD, 20)))
        from driver.registries.registry import manifest_from_registry

        found = await manifest_from_registry(registry.image("team/app", "1"), {"DOCKER_CONFIG": str(tmp_path)})
        assert [(layer.media_type, layer.size) for layer in found.layers] == [(GZIP, 10), (ZSTD, 20)]
        with pytest.raises(RegistryError, match=r"has no such image \(404\); check its name$"):
            await manifest_from_registry(registry.image("team/app", "2"), {"DOCKER_CONFIG": str(tmp_path)})


def test_of_a_file_every_manifest_in_it(tmp_path: Path, study_data: Path) -> None:
    (tmp_path / "one.json").write_bytes(manifest((GZIP, 10)))
    layer = DescribedLayer(digest_of(b"10"), GZIP, 10)
    assert describe(str(tmp_path / "one.json"), {}) == [DescribedImage(None, (layer,))]
    assert len(describe(str(study_data / "pulling-aws" / "manifests-config-layers.json"), {})) > 30


@pytest.mark.parametrize(
    ("source", "said"),
    [("no such/Thing", "no file, no OCI image layout, and no image's name"), ("/dev/null", "no image manifest")],
)
def test_what_is_no_image_is_refused_in_words(source: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        describe(source, {})


def test_a_layout_that_is_damaged_is_told_of_in_a_line(tmp_path: Path) -> None:
    layout = made(tmp_path, layers="1", sizes="50000")
    (entry,) = layout.images().values()
    (layer,) = layout.manifest(entry).layers
    layout.blob(layer.digest).write_bytes(b"\x1f\x8b\x08")
    with pytest.raises(LayerError, match="cannot be unpacked"):
        describe(str(tmp_path), {})
    (tmp_path / "index.json").write_text("[]")
    with pytest.raises(UsageError, match="no document of an OCI image layout"):
        describe(str(tmp_path), {})


def test_a_digest_that_would_lead_out_of_a_layout_is_none(tmp_path: Path) -> None:
    made(tmp_path, layers="1", sizes="50000")
    index = json.loads((tmp_path / "index.json").read_text())
    index["manifests"][0]["digest"] = "sha256:../../../etc/passwd"
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(UsageError, match="is no sha256 digest"):
        describe(str(tmp_path), {})


# Images like others


def sizes(directory: Path, name: str = "") -> list[int]:
    (image,) = describe(f"{directory}:{name}" if name else str(directory), {})
    return [layer.bytes for layer in image.layers]


def test_an_image_like_another_has_as_many_layers_of_the_same_sizes(tmp_path: Path) -> None:
    wanted = [2_220_027, 83_045, 400_000, 150_000]
    kinds = [GZIP, ZSTD, GZIP, "application/vnd.oci.image.layer.v1.tar"]
    (tmp_path / "one.json").write_bytes(manifest(*zip(kinds, wanted, strict=True)))
    made(tmp_path / "copy", like=str(tmp_path / "one.json"))
    assert sizes(tmp_path / "copy") == [pytest.approx(each, rel=0.01) for each in wanted]
    (image,) = describe(str(tmp_path / "copy"), {})
    assert [(layer.media_type or "").rpartition(".")[2] for layer in image.layers] == [
        "tar+gzip",
        "tar+zstd",
        "tar+gzip",
        "tar",
    ]


def test_of_a_layout_what_layers_unpack_to_is_imitated_too(tmp_path: Path) -> None:
    made(tmp_path / "first", layers="3", sizes="700000", ratio="0.3", files="4", compression="zstd")
    made(tmp_path / "second", like=str(tmp_path / "first"), seed="other")
    first, second = (describe(str(tmp_path / name), {})[0] for name in ("first", "second"))
    assert first.name == second.name
    for one, other in zip(first.layers, second.layers, strict=True):
        assert one.digest != other.digest
        assert (one.files, one.unpacked_bytes, one.media_type) == (other.files, other.unpacked_bytes, other.media_type)
        assert other.bytes == pytest.approx(one.bytes, rel=0.01)


def test_images_like_others_keep_their_names_apart(tmp_path: Path) -> None:
    layout = made(tmp_path / "first", layers="1", sizes="50000", compression="gzip,zstd")
    copy = made(tmp_path / "second", like=str(tmp_path / "first"))
    assert layout.images().keys() == copy.images().keys()


def test_the_compression_may_be_another_one(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_bytes(manifest((GZIP, 100_000)))
    made(tmp_path / "copy", like=str(tmp_path / "one.json"), compression="zstd:1")
    (image,) = describe(str(tmp_path / "copy"), {})
    assert image.layers[0].media_type == ZSTD
    assert image.layers[0].bytes == pytest.approx(100_000, rel=0.01)


# The commands


def test_the_commands_build_and_describe(tmp_path: Path, capsys: Capture) -> None:
    words = ["images", "build", str(tmp_path), "--layers", "2", "--bytes", "100kB", "--threads", "1"]
    assert cli.run(words) == 0
    assert capsys.readouterr().out.startswith(
        "2-layers-size-100000-bytes: 2 layers, 0.1 MB unpacked, 0.0 MB compressed, sha256:"
    )
    assert cli.run(words) == 0
    assert capsys.readouterr().out.endswith(", there already\n")
    assert cli.run(["images", "describe", str(tmp_path)]) == 0
    assert "50,000        16  sha256:" in capsys.readouterr().out
    assert cli.run(["images", "describe", str(tmp_path), "--json"]) == 0
    (image,) = json.loads(capsys.readouterr().out)
    assert image["layers"][0]["files"] == 16


def test_layers_too_small_for_their_files_are_said_to_miss_their_bytes(tmp_path: Path, capsys: Capture) -> None:
    assert cli.run(["images", "build", str(tmp_path), "--bytes", "10kB", "--files", "100"]) == 0
    assert "of the compressed bytes asked for: its layers are too small for their files" in capsys.readouterr().err


def test_a_program_that_is_not_there_is_wrong_use(tmp_path: Path, capsys: Capture) -> None:
    assert cli.run(["images", "build", str(tmp_path / "l"), "--program", str(tmp_path / "absent")]) == 2
    assert "No such file" in capsys.readouterr().err


def test_a_matrix_is_an_order_for_each_of_its_images() -> None:
    matrix = Matrix(((9, 10**6), (1, 10**6)), tuple(compressions_of("gzip:1,none")), (0.1, 0.9), (1, 2))
    assert len(list(matrix.orders())) == 16
