"""Each format that docs/import.md names gives, from its sample, what the page says."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from driver import cli
from pullstudy.pulls.record import WITNESS_PREFIX, PullRecord
from pullstudy.store.embedded.store import EmbeddedStore

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "data" / "cases" / "import"
TABLE = re.findall(
    r"^\| `([\w.-]+)` \| .* \| (\d+) \| (\d+) \| (\d) \|$", (ROOT / "docs" / "import.md").read_text(), re.M
)


def imported(sample: Path, directory: Path) -> tuple[int, list[PullRecord], int]:
    """The exit code, the pulls and the number of rejects."""
    size = "1" if sample.name == "single-node.json" else "4"
    as_of = ["--as-of", "2024-08-23T02:30:00Z"] if sample.name == "described.txt" else []
    code = cli.run(["import", str(sample), "--size", size, "--out", str(directory), *as_of])
    store = EmbeddedStore(directory, create=False)
    try:
        return code, list(store.pulls()), sum(1 for _ in store.rejects())
    finally:
        store.close_now()


def test_the_page_names_32_formats() -> None:
    assert len({name for name, *_ in TABLE}) == 32


@pytest.mark.parametrize(("name", "pulls", "rejects", "code"), TABLE, ids=[row[0] for row in TABLE])
def test_a_sample_gives_what_the_page_says(name: str, pulls: str, rejects: str, code: str, tmp_path: Path) -> None:
    ended, read, rejected = imported(SAMPLES / name, tmp_path)
    assert (len(read), rejected, ended) == (int(pulls), int(rejects), int(code))
    for pull in read:
        number = int((pull.tag or "")[1:])
        assert pull.repository == "registry.example:5000/team/app"
        assert pull.node == f"node-{number}"
        if pull.event_uid.startswith(WITNESS_PREFIX):  # status tells no durations
            assert pull.pull_seconds is None
            assert pull.finished_at == datetime(2024, 8, 23, 2, 24, 12, tzinfo=UTC)
        else:
            assert pull.pull_seconds == number + 0.5
            assert pull.waiting_seconds == pytest.approx(0.2)


def test_a_pod_of_a_deployment_belongs_to_no_job(tmp_path: Path) -> None:
    _, (pull,), _ = imported(SAMPLES / "deployment-with-all-digit-hash.json", tmp_path)
    assert pull.job is None


def test_a_pause_image_that_docker_cannot_pull_is_a_failed_pull(tmp_path: Path) -> None:
    _, (pull,), _ = imported(SAMPLES / "pause-image-docker.json", tmp_path)
    assert (pull.outcome, pull.image) == ("failed", "registry.example/pause:3.5")


@pytest.mark.parametrize(("kubelet", "seconds", "waiting"), [("1.24", 49.18401355, None), ("1.27", 5.0, 44.184)])
def test_a_duration_with_the_waiting_in_it_has_no_waiting_beside_it(
    kubelet: str, seconds: float, waiting: float | None, tmp_path: Path
) -> None:
    _, (pull,), _ = imported(SAMPLES / f"kubelet-{kubelet}.json", tmp_path)
    assert (pull.pull_seconds, pull.waiting_seconds) == (seconds, waiting and pytest.approx(waiting))


def test_a_binary_file_is_one_reject(tmp_path: Path) -> None:
    binary = tmp_path / "picture.png"
    binary.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 1000)
    assert imported(binary, tmp_path / "study") == (1, [], 1)


@pytest.mark.parametrize(
    "text",
    [
        b"apiVersion: v1\na: &a [x]\nb: [*a, *a]\n",
        b"apiVersion: v1\na: " + b"[" * 200_000 + b"\n",
        b"apiVersion: v1\na: !!python/object/apply:os.system [ls]\n",
        b"apiVersion: v1\na: |\n" + b"  x\n" * 500_000,
        b"apiVersion: v1\na: [\n",
        b"apiVersion: v1\na: " + b"9" * 5_000 + b"\n",
    ],
    ids=["aliases", "nesting", "a tag of Python's", "a long document", "cut off", "a long number"],
)
def test_yaml_that_kubernetes_does_not_write_is_one_reject(text: bytes, tmp_path: Path) -> None:
    log = tmp_path / "log.yaml"
    log.write_bytes(text + b"---\n" + (SAMPLES / "kubectl.yaml").read_bytes())
    code, pulls, rejected = imported(log, tmp_path / "study")
    assert (code, len(pulls), rejected) == (0, 2, 1)
