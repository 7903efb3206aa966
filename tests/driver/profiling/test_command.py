"""``pulldriver profile`` on a runtime that speaks CRI in this process: what it prints and writes."""

import asyncio
import gzip
import json
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from driver import cli
from pullstudy.pulls.stage import Stage
from tests.driver.profiling.fake_runtime import FakeRuntime, export, sample_at, served
from tests.driver.profiling.test_profile import IMAGE, OTHER, free_port

PNG = b"\x89PNG\r\n\x1a\n"


@contextmanager
def in_thread(fake: FakeRuntime, socket: Path) -> Iterator[None]:
    """The command has an event loop of its own."""
    ready, over = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with served(fake, socket):
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(30)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


@pytest.fixture
def port() -> int:
    return free_port()


MANY = "registry.example/app:125-layers"
SAMPLES = {IMAGE: "g9", OTHER: "z9", MANY: "g125"}


@pytest.fixture
def fake(port: int) -> FakeRuntime:
    async def send(name: str) -> None:
        sample = sample_at(SAMPLES[name], name, time.time())
        assert await export(f"http://127.0.0.1:{port}/v1/traces", sample) == 200

    return FakeRuntime(ids={name: f"sha256:{number}" for number, name in enumerate(SAMPLES)}, exporter=send)


def profile(fake: FakeRuntime, tmp_path: Path, port: int, *arguments: str) -> int:
    path = tmp_path / "containerd.sock"
    with in_thread(fake, path):
        return cli.run(["profile", *arguments, "--containerd", str(path), "--otlp-port", str(port)])


def test_stages_layers_and_a_sentence_are_printed(
    fake: FakeRuntime, port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert profile(fake, tmp_path, port, IMAGE, "--repeats", "2") == 0
    said = capsys.readouterr()
    assert f"{IMAGE}: 9 layers, 63.3 MB compressed" in said.out
    assert "containerd v2.4.2 on " in said.out
    for stage in Stage:
        assert f"\n  {stage.replace('_', ' ')} " in said.out
    assert "\n  apply takes 65% (2.77 s): unpacking several layers at a time" in said.out
    assert f"pulldriver: {IMAGE}: pull 2 of 2: " in said.err
    assert "No spans" not in said.out


def test_of_many_layers_those_that_held_the_pull_up_most_are_shown(
    fake: FakeRuntime, port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "p.html"
    assert profile(fake, tmp_path, port, MANY, "--repeats", "1", "--html", str(page)) == 0
    said = capsys.readouterr().out
    rows = said.partition("layer of pull 1 (20 that held it up most)")[2].split("\n\n")[0].splitlines()
    assert len(rows) == 1 + 20
    assert page.read_text().count(" MB</text>") == 125, "the picture has all"


def test_what_zstd_would_save_is_tried_on_the_images_own_bytes(
    fake: FakeRuntime, port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.blob = gzip.compress(Random(1).randbytes(100_000))
    assert profile(fake, tmp_path, port, IMAGE, "--repeats", "1", "--json") == 0
    (image,) = json.loads(capsys.readouterr().out)["images"]
    assert image["zstd_trial"]["gzip_bytes"] == len(fake.blob)
    assert image["zstd_trial"]["gzip_seconds"] > 0


def test_two_images_are_set_side_by_side(
    fake: FakeRuntime, port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert profile(fake, tmp_path, port, IMAGE, OTHER, "--repeats", "2", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [image["image"] for image in found["images"]] == [IMAGE, OTHER]
    assert [len(image["pulls"]) for image in found["images"]] == [2, 2]
    (told,) = found["differences"]
    assert (told["image"], told["other"]) == (IMAGE, OTHER)
    first = found["images"][0]["pulls"][0]
    assert first["stages"]["layers"] == len(first["layers"]) == 9
    assert found["images"][0]["verdict"]["stages"] == ["apply"]
    assert found["no_spans"] == []


def test_page_picture_and_traces_are_written(
    fake: FakeRuntime, port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, picture, traces = tmp_path / "p.html", tmp_path / "p.png", tmp_path / "p.json"
    files = ["--html", str(page), "--png", str(picture), "--perfetto", str(traces)]
    assert profile(fake, tmp_path, port, IMAGE, "--repeats", "1", *files) == 0
    html = page.read_text()
    svg = ElementTree.fromstring(html[html.index("<svg") : html.index("</svg>") + 6])
    bars = [bar for bar in svg.iter("{http://www.w3.org/2000/svg}rect") if len(bar)]
    assert len(bars) > 9 * 5
    assert "http" not in html.replace("http://www.w3.org/2000/svg", "").replace("http://127", ""), "nothing is fetched"
    assert picture.read_bytes().startswith(PNG)
    slices = [event for event in json.loads(traces.read_text())["traceEvents"] if event["ph"] == "X"]
    assert {"pull", "pull resolve", "pull finish", "layer", "layer apply"} <= {event["name"] for event in slices}


def test_without_spans_what_to_set_is_said_and_no_picture_is_made(
    port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("driver.profiling.profile.SPAN_SECONDS", 0.2)
    fake = FakeRuntime(ids={IMAGE: "sha256:a"})
    page, picture = tmp_path / "p.html", tmp_path / "p.png"
    files = ["--html", str(page), "--png", str(picture)]
    assert profile(fake, tmp_path, port, IMAGE, "--repeats", "1", *files) == 0
    said = capsys.readouterr().out
    assert f"No spans of containerd came to 127.0.0.1:{port}" in said
    assert f"Environment=OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:{port}" in said
    assert "No spans came" in page.read_text()
    assert not picture.exists()


def test_an_image_that_is_there_is_wrong_use(
    fake: FakeRuntime, port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.held[IMAGE] = "sha256:a"
    assert profile(fake, tmp_path, port, IMAGE) == 2
    assert f"pulldriver: {IMAGE} is on this node already" in capsys.readouterr().err
    assert fake.asked == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([IMAGE, IMAGE], "an image is named twice"),
        (["no image"], "no image's name"),
        ([IMAGE, "--containerd", "/nowhere.sock"], "/nowhere.sock is not there; --containerd names the socket"),
    ],
)
def test_wrong_use_is_one_line(arguments: list[str], says: str, capsys: pytest.CaptureFixture[Any]) -> None:
    assert cli.run(["profile", *arguments]) in (1, 2)
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
