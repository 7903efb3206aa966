"""Images to order: read back by others' libraries they are what was asked for, and the same bytes each time."""

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driver.errors import UsageError
from driver.images import order
from driver.images.asked import AskedImages
from driver.images.build import BuiltImage, build
from driver.images.layer_writer import Program
from driver.images.layout import Layout
from driver.images.order import Algorithm, Compression, Matrix

GZIP_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"


def built(directory: Path, matrix: Matrix, program: Program | None = None) -> list[BuiltImage]:
    return list(build(Layout(directory), matrix.orders(), 2, program))


def blob(directory: Path, digest: str) -> bytes:
    content = (directory / "blobs" / digest.replace(":", "/")).read_bytes()
    assert f"sha256:{hashlib.sha256(content).hexdigest()}" == digest
    return content


def document(directory: Path, digest: str) -> Any:
    return json.loads(blob(directory, digest))


def untarred(directory: Path, layer: Any) -> bytes:
    """The tar of a layer, by the decoder that its media type names."""
    packed = blob(directory, layer["digest"])
    assert len(packed) == layer["size"]
    kind = layer["mediaType"].rpartition(".")[2]
    if kind == "tar+gzip":
        return gzip.decompress(packed)
    return zstandard.ZstdDecompressor().decompressobj().decompress(packed) if kind == "tar+zstd" else packed


def read_back(directory: Path, image: BuiltImage) -> list[list[tarfile.TarInfo]]:
    """The files of each layer; every digest and size on the way is checked."""
    manifest = document(directory, image.digest)
    config = document(directory, manifest["config"]["digest"])
    tars = [untarred(directory, layer) for layer in manifest["layers"]]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in tars]
    return [tarfile.open(fileobj=io.BytesIO(tar)).getmembers() for tar in tars]


EVERY = tuple(order.compressions_of("gzip:1,gzip:9,zstd:1,zstd:19,none"))


@pytest.mark.parametrize("compression", EVERY, ids=str)
@pytest.mark.parametrize("ratio", [0.05, 0.4, 1.0])
def test_an_image_read_back_has_its_layers_files_and_bytes_within_one_percent(
    tmp_path: Path, compression: Compression, ratio: float
) -> None:
    (image,) = built(tmp_path, Matrix(((3, 1_000_001),), (compression,), (ratio,), (7,)))
    layers = read_back(tmp_path, image)
    assert [len(files) for files in layers] == [7, 7, 7]
    assert sum(file.size for files in layers for file in files) == image.unpacked_bytes == 1_000_001
    if compression.algorithm is not Algorithm.NONE:
        assert image.packed_bytes == pytest.approx(1_000_001 * ratio, rel=0.01)
        assert abs(image.off) < 0.01


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.integers(20_000, 400_000),
    files=st.integers(1, 20),
    ratio=st.floats(0.2, 1.0),
    compression=st.sampled_from(EVERY[:4]),
    seed=st.text(max_size=5),
)
def test_whatever_is_asked_for_comes_out_within_one_percent_and_a_few_headers(
    tmp_path_factory: pytest.TempPathFactory, size: int, files: int, ratio: float, compression: Compression, seed: str
) -> None:
    directory = tmp_path_factory.mktemp("layout")
    (image,) = built(directory, Matrix(((1, size),), (compression,), (ratio,), (files,), seed))
    (members,) = read_back(directory, image)
    assert sum(member.size for member in members) == size
    assert abs(image.packed_bytes - size * ratio) <= 0.01 * size * ratio + 150 + 20 * files


def test_the_same_order_gives_the_same_digest_and_another_seed_another(tmp_path: Path) -> None:
    matrix = Matrix(((2, 300_000),), EVERY)
    first, second = ([each.digest for each in built(tmp_path / name, matrix)] for name in ("first", "second"))
    assert first == second
    other = built(tmp_path / "other", Matrix(((2, 300_000),), EVERY, seed="1"))
    assert not set(first) & {each.digest for each in other}


def test_bytes_that_no_library_compresses_are_the_same_for_all_time(tmp_path: Path) -> None:
    (image,) = built(tmp_path, Matrix(((2, 300_000),), (Compression(Algorithm.NONE, 0),)))
    assert image.layers[0].digest == "sha256:7c48e869f474be02a8071d8bb59d154f4adfb431f6f500aadcbc2c425302ebd3"


def test_no_layer_of_a_layout_is_like_another(tmp_path: Path) -> None:
    images = built(tmp_path, Matrix(((3, 90_000), (2, 60_000)), ratios=(0.0,)))
    digests = [layer.digest for image in images for layer in image.layers]
    assert len(set(digests)) == len(digests) == 5


def test_zeros_alone_are_compressed_as_far_as_they_can_be(tmp_path: Path) -> None:
    (image,) = built(tmp_path, Matrix(((1, 1_000_000),), ratios=(0.0,), files=(1,)))
    assert image.packed_bytes < 2_000
    assert image.off == 0.0


def test_names_have_what_there_are_several_of_and_the_tag_tells_layers_and_bytes() -> None:
    several = Matrix(((9, 10**6),), tuple(order.compressions_of("gzip,zstd:19")), (0.4, 1.0), (1, 1000))
    names = [each.name for each in several.orders()]
    assert names[0] == "gzip-6/ratio-0.4/files-1:9-layers-size-1000000-bytes"
    assert names[-1] == "zstd-19/ratio-1/files-1000:9-layers-size-1000000-bytes"
    assert len(set(names)) == 8
    assert [each.name for each in Matrix(((9, 10**6),)).orders()] == ["9-layers-size-1000000-bytes"]


def test_the_index_names_every_image_and_the_layout_its_version(tmp_path: Path) -> None:
    built(tmp_path, Matrix(((1, 50_000), (2, 50_000))))
    index = json.loads((tmp_path / "index.json").read_text())
    names = [each["annotations"]["org.opencontainers.image.ref.name"] for each in index["manifests"]]
    assert names == ["1-layers-size-50000-bytes", "2-layers-size-50000-bytes"]
    assert json.loads((tmp_path / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    manifest = document(tmp_path, index["manifests"][0]["digest"])
    assert manifest["schemaVersion"] == 2
    assert manifest["mediaType"] == index["manifests"][0]["mediaType"]
    assert manifest["layers"][0]["mediaType"] == GZIP_TYPE


def test_what_is_there_is_not_built_again_and_what_is_damaged_or_of_another_order_is(tmp_path: Path) -> None:
    matrix = Matrix(((2, 50_000),))
    (first,) = built(tmp_path, matrix)
    (again,) = built(tmp_path, matrix)
    assert (first.new, again.new, again.digest) == (True, False, first.digest)
    damaged = tmp_path / "blobs" / first.layers[1].digest.replace(":", "/")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    (mended,) = built(tmp_path, matrix)
    assert (mended.new, mended.digest) == (True, first.digest)
    (other,) = built(tmp_path, Matrix(((2, 50_000),), seed="1"))
    assert other.new
    assert len(json.loads((tmp_path / "index.json").read_text())["manifests"]) == 1


def test_an_error_on_the_way_leaves_no_draft(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.create()

    def interrupted() -> None:
        with layout.draft() as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in (tmp_path / "blobs").iterdir()] == ["sha256"]


def test_a_program_for_which_the_first_layer_has_no_room_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--program large: the first layer of .* has 50,000 bytes; give it more"):
        built(tmp_path, Matrix(((1, 50_000),)), Program("large", bytes(60_000)))


def test_a_program_is_in_the_first_layer_and_is_what_the_image_runs(tmp_path: Path) -> None:
    (image,) = built(tmp_path, Matrix(((2, 200_000),)), Program("true", b"\x7fELF" + bytes(9_996)))
    first, second = read_back(tmp_path, image)
    assert (first[0].name, first[0].size, first[0].mode) == ("bin/true", 10_000, 0o755)
    assert not any(member.name.startswith("bin/") for member in second)
    assert sum(member.size for member in (*first, *second)) == 200_000
    assert image.packed_bytes == pytest.approx(80_000, rel=0.01)
    manifest = document(tmp_path, image.digest)
    assert document(tmp_path, manifest["config"]["digest"])["config"]["Cmd"] == ["/bin/true"]


def test_memory_does_not_grow_with_the_image(tmp_path: Path) -> None:
    script = """
import resource, sys
from pathlib import Path
from driver.images.build import build
from driver.images.layout import Layout
from driver.images.order import Algorithm, Compression, Matrix
small, large = (Matrix(((1, size),), (Compression(Algorithm.NONE, 0),), files=(1,)) for size in (4 << 20, 256 << 20))
peaks = []
for matrix in (small, large):
    list(build(Layout(Path(sys.argv[1])), matrix.orders(), 1))
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(peaks[1] - peaks[0])
"""
    done = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 16 << 10  # KiB, of 256 MiB written


# What may be asked for


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layers": "9,0"}, "--layers 9,0: write numbers from 1 to 1,000"),
        ({"layers": "nine"}, "--layers nine"),
        ({"sizes": "1TB"}, "--bytes 1TB: write 1176249324, 200MB or 1.5GiB"),
        ({"sizes": "0"}, "--bytes 0"),
        ({"compression": "gzip:0"}, "--compression gzip:0: write gzip:1 to gzip:9, zstd:1 to zstd:19, or none"),
        ({"compression": "none:1"}, "--compression none:1"),
        ({"compression": "lz4"}, "--compression lz4"),
        ({"ratio": "1.5"}, "--ratio 1.5"),
        ({"ratio": "nan"}, "--ratio nan"),
        ({"files": "0"}, "--files 0"),
        ({"sizes": "100", "layers": "50"}, "--files 16: a layer has 2 bytes"),
        ({"study": "seeds"}, "--study seeds: give seed, seed-38, quick"),
        ({"study": "seed", "sizes": "1GB"}, "give one of them"),
        ({"study": "seed", "like": "x"}, "give one of them"),
        ({"like": "x", "ratio": "0.4,0.5"}, "--like: give one --ratio"),
    ],
)
def test_what_cannot_be_built_is_refused_in_words(options: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said.replace(".", r"\.")):
        list(AskedImages(**options).orders({}))  # type: ignore[arg-type]


def test_sizes_are_read_with_their_units() -> None:
    assert order.bytes_of("1176249324,200MB, 1.5GiB,64kib") == [1176249324, 200_000_000, 1610612736, 65536]


def test_the_seeds_images_are_asked_for_by_a_word() -> None:
    orders = list(AskedImages(study="seed").orders({}))
    assert len(orders) == 32
    assert {len(each.layers) for each in orders} == {9, 125}
    for each in orders:
        assert each.name == f"{len(each.layers)}-layers-size-{sum(x.unpacked_bytes for x in each.layers)}-bytes"
        assert {(x.packed_bytes, x.files) for x in each.layers} == {(None, 1)}
    assert len(list(AskedImages(study="quick", ratio="0.4", compression="gzip,zstd").orders({}))) == 12
