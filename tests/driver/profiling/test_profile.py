"""Cold pulls asked of a runtime over CRI: what is asked in which order, what is left there, and what spans tell."""

import base64
import json
import socket as sockets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from driver.errors import DriverError
from driver.profiling.cri import RuntimeRefusedError, runtime
from driver.profiling.profile import HeldImageError, Profiler
from driver.profiling.span_intake import SpanIntake, TakenPortError, span_intake
from pullstudy.pulls.decode import Origin
from tests.driver.profiling.fake_runtime import FakeRuntime, export, no_sleep, sample_at, served

ORIGIN = Origin(cluster="n1")
IMAGE, OTHER = "registry.example/app:1", "registry.example/app:1-zstd"


@pytest.fixture
def fake() -> FakeRuntime:
    return FakeRuntime(ids={IMAGE: "sha256:a", OTHER: "sha256:b"})


def free_port() -> int:
    with sockets.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


@asynccontextmanager
async def profiler(fake: FakeRuntime, tmp_path: Path) -> AsyncIterator[tuple[Profiler, SpanIntake, list[str]]]:
    """Of the fake, with an empty configuration of Docker, spans of a real pull, and what is said."""
    port, said = free_port(), list[str]()
    path = tmp_path / "containerd.sock"
    async with served(fake, path), runtime(path) as cri, span_intake(port, ORIGIN) as intake:
        if fake.exporter is None:

            async def send(name: str) -> None:
                url = f"http://127.0.0.1:{port}/v1/traces"
                assert await export(url, sample_at("g9", name, time.time())) == 200

            fake.exporter = send
        yield Profiler(cri, None, intake, {"DOCKER_CONFIG": str(tmp_path)}, no_sleep, said.append), intake, said


async def nothing(_: str) -> None:
    """No spans."""


async def test_images_are_pulled_in_turn_and_removed_and_the_node_is_left_as_it_was(
    fake: FakeRuntime, tmp_path: Path
) -> None:
    fake.held["other:1"] = "sha256:c"
    async with profiler(fake, tmp_path) as (asked, _, said):
        pulls = await asked.profile([IMAGE, OTHER], 2)
    in_turn = [f"{what} {image}" for image in (IMAGE, OTHER) for what in ("pull", "remove")]
    assert fake.asked == in_turn * 2
    assert fake.held == {"other:1": "sha256:c"}
    assert {image: len(found) for image, found in pulls.items()} == {IMAGE: 2, OTHER: 2}
    assert said[-1].startswith(f"{OTHER}: pull 2 of 2: ")


async def test_each_pull_has_the_stages_and_layers_of_its_own_spans(fake: FakeRuntime, tmp_path: Path) -> None:
    async with profiler(fake, tmp_path) as (asked, _, _):
        pulls = (await asked.profile([IMAGE], 2))[IMAGE]
    assert len({pull.stages.pull for pull in pulls if pull.stages}) == 2
    for pull in pulls:
        assert pull.stages is not None
        assert (pull.stages.image, pull.stages.complete, len(pull.layers)) == (IMAGE, True, 9)
        assert abs(pull.stages.started_at.timestamp() - pull.started_at.timestamp()) < 5


async def test_an_image_that_is_there_is_not_touched_unless_told(fake: FakeRuntime, tmp_path: Path) -> None:
    fake.held[OTHER] = "sha256:b"
    async with profiler(fake, tmp_path) as (asked, _, _):
        with pytest.raises(HeldImageError, match=f"{OTHER} is on this node already.*--remove-held removes it"):
            await asked.profile([IMAGE, OTHER], 1)
    assert fake.asked == []
    assert fake.held == {OTHER: "sha256:b"}


async def test_an_image_that_may_be_removed_is_back_afterwards(fake: FakeRuntime, tmp_path: Path) -> None:
    fake.held[IMAGE] = "sha256:a"
    async with profiler(fake, tmp_path) as (asked, _, _):
        await asked.profile([IMAGE], 2, remove_held=True)
    assert fake.asked == [f"remove {IMAGE}", f"pull {IMAGE}"] * 2
    assert fake.held == {IMAGE: "sha256:a"}


async def test_the_same_image_under_another_name_is_not_removed(fake: FakeRuntime, tmp_path: Path) -> None:
    """A runtime removes an image under all of its names."""
    fake.held["app:latest"] = "sha256:a"
    async with profiler(fake, tmp_path) as (asked, _, _):
        with pytest.raises(HeldImageError, match="is the same image as app:latest, which was on this node before"):
            await asked.profile([IMAGE], 1)
    assert fake.held == {"app:latest": "sha256:a", IMAGE: "sha256:a"}


async def test_a_removed_image_that_does_not_come_back_is_told(fake: FakeRuntime, tmp_path: Path) -> None:
    fake.held["gone:1"] = "sha256:g"
    async with profiler(fake, tmp_path) as (asked, _, said):
        with pytest.raises(RuntimeRefusedError, match="PullImage: failed to resolve image: gone:1: not found"):
            await asked.profile(["gone:1"], 1, remove_held=True)
    assert said == ["gone:1 was removed and is not back: crictl pull gone:1"]


async def test_after_an_error_an_image_that_was_not_there_is_removed(fake: FakeRuntime, tmp_path: Path) -> None:
    async def fail(_: str) -> None:
        raise LookupError("the answer is lost")

    fake.exporter = fail
    async with profiler(fake, tmp_path) as (asked, _, _):
        with pytest.raises(RuntimeRefusedError, match="the answer is lost"):
            await asked.profile([IMAGE], 1)
    assert fake.asked == [f"pull {IMAGE}", f"remove {IMAGE}"]
    assert fake.held == {}


async def test_without_spans_the_whole_pull_is_known(fake: FakeRuntime, tmp_path: Path) -> None:
    fake.exporter = nothing
    async with profiler(fake, tmp_path) as (asked, _, _):
        (pull,) = (await asked.profile([IMAGE], 1))[IMAGE]
    assert pull.seconds > 0
    assert (pull.stages, pull.layers, pull.used) == (None, (), None)


async def test_a_registrys_login_is_dockers(fake: FakeRuntime, tmp_path: Path) -> None:
    login = base64.b64encode(b"user:secret").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"registry.example": {"auth": login}}}))
    async with profiler(fake, tmp_path) as (asked, _, _):
        await asked.profile([IMAGE], 1)
    assert fake.logins == [login]


async def test_spans_of_another_image_or_time_are_of_no_pull(tmp_path: Path) -> None:
    port = free_port()
    async with span_intake(port, ORIGIN) as intake:
        url = f"http://127.0.0.1:{port}/v1/traces"
        assert await export(url, sample_at("g9", IMAGE, 1_000.0)) == 200
        assert await export(url, b"no message") == 400
        assert intake.pull_of(IMAGE, 999.0, 1_001.0) is not None
        assert intake.pull_of(IMAGE, 1_001.0, 1_002.0) is None
        assert intake.pull_of(OTHER, 999.0, 1_001.0) is None


async def test_a_port_that_is_taken_is_one_line_with_what_to_do() -> None:
    port = free_port()
    async with span_intake(port, ORIGIN):
        with pytest.raises(TakenPortError, match=f"127.0.0.1:{port}: address already in use.*stop the collector"):
            async with span_intake(port, ORIGIN):
                pass


async def test_a_socket_that_is_not_there_or_answers_nothing_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "containerd.sock"
    with pytest.raises(DriverError, match=r"containerd\.sock is not there; --containerd names"):
        async with runtime(path):
            pass
    with sockets.socket(sockets.AF_UNIX) as nobody:
        nobody.bind(str(path))
    async with runtime(path) as cri:
        with pytest.raises(RuntimeRefusedError, match=r"no runtime answers: .*; --containerd names its socket"):
            await cri.version()
