"""What zstd would save: tried on the beginning of a gzip layer."""

import gzip
import random
from pathlib import Path

import pytest

from driver.profiling.cri import runtime
from driver.profiling.zstd_trial import zstd_trial
from tests.driver.profiling.fake_runtime import FakeRuntime, served


def half_noise() -> bytes:
    noise = random.Random(1)
    return b"".join(noise.randbytes(512) + bytes(512) for _ in range(1000))


def test_the_bytes_that_were_unpacked_are_packed_anew_and_each_is_timed() -> None:
    packed = gzip.compress(half_noise())
    ticks = iter(range(100))
    found = zstd_trial(packed, clock=lambda: next(ticks))
    assert found is not None
    assert found.gzip_bytes == len(packed)
    assert found.zstd_bytes == pytest.approx(512_000, rel=0.05)
    assert (found.gzip_seconds, found.zstd_seconds) == (1, 1)


def test_a_layer_that_was_cut_is_unpacked_as_far_as_it_goes() -> None:
    whole, cut = zstd_trial(gzip.compress(half_noise())), zstd_trial(gzip.compress(half_noise())[:300_000])
    assert whole is not None
    assert cut is not None
    assert 0.4 < cut.zstd_bytes / whole.zstd_bytes < 0.7


def test_what_is_no_gzip_is_not_tried() -> None:
    assert zstd_trial(b"plain tar") is None


@pytest.mark.parametrize(("most", "found"), [(10_000, b"x" * 2500), (1500, b"x" * 1500)])
async def test_the_beginning_of_a_layer_is_read_from_the_runtime(tmp_path: Path, most: int, found: bytes) -> None:
    path = tmp_path / "containerd.sock"
    async with served(FakeRuntime(blob=b"x" * 2500), path), runtime(path) as cri:
        assert await cri.content("sha256:a", most) == found


async def test_a_runtime_that_keeps_no_layers_shows_none(tmp_path: Path) -> None:
    path = tmp_path / "containerd.sock"
    async with served(FakeRuntime(), path), runtime(path) as cri:
        assert await cri.content("sha256:a", 10) == b""
