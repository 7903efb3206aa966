"""The size of an imported cluster is what its files tell, and one that they contradict is refused."""

import json
import os
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import typer

from driver import cli
from driver.errors import UsageError
from driver.importing.cluster_size import CountedSize, NodeCount, count_nodes
from pullstudy.store.embedded.ledger import Ledger
from tests.pulls.events import core_event

BY_LIST, BY_PODS = "the nodes that are listed", "the nodes on which pods of these files ran"
CONTROL_PLANE = [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]


def counted(*paths: Path) -> NodeCount:
    return count_nodes(paths, lambda path, size: None, print)


def log(path: Path, nodes: int, pod: str = "j-{}-bcdfg") -> Path:
    """A pod on each of so many nodes."""
    events = [core_event("Pulled", 'Successfully pulled image "a" in 1s') for _ in range(nodes)]
    for number, event in enumerate(events):
        event["involvedObject"]["name"] = pod.format(number)
        event["source"]["host"] = event["reportingInstance"] = f"node-{number}"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path


def node_list(path: Path, nodes: int, **first: Any) -> Path:
    items = [{"kind": "Node", "metadata": {"name": f"node-{number}"}, "spec": {}} for number in range(nodes)]
    items[0]["spec"] = first
    path.write_text(json.dumps({"kind": "List", "items": items}))
    return path


@pytest.mark.parametrize(
    ("folder", "events", "size"),
    [
        ("pulling-aws", "events-size-4.json", 4),
        ("pulling-aws", "events-size-16.json", 16),
        ("pulling-test-run3", "events-size-8.json", 8),  # its jobs ran on 6
        ("gke-streaming-on", "events-8.jsonl", 8),
        ("eks-gp2-38-images", "events-4.jsonl", 4),
        ("apps-aks-32", "events-osu-1724528565.json", 32),
    ],
)
def test_real_logs_tell_the_size_of_their_cluster(study_data: Path, folder: str, events: str, size: int) -> None:
    count = counted(study_data / folder / events)
    assert count.counted() == CountedSize(size, BY_PODS)
    count.check(size)
    with pytest.raises(UsageError, match=f"--size 2, but pods of these files ran on {size} nodes"):
        count.check(2)


def test_a_real_node_list_tells_it_before_the_log_does(study_data: Path) -> None:
    data = study_data / "pulling-aws"
    count = counted(data / "events-size-16.json", data / "nodes-16.json")
    assert count.counted() == CountedSize(16, BY_LIST)
    count.check(16)
    with pytest.raises(UsageError, match="--size 32, but these files list 16 nodes"):
        count.check(32)


def test_a_cluster_may_have_more_nodes_than_took_part(tmp_path: Path) -> None:
    counted(log(tmp_path / "log", 2)).check(4)


def test_a_control_plane_is_no_node_of_the_study_though_it_may_be_counted(tmp_path: Path) -> None:
    count = counted(node_list(tmp_path / "nodes", 5, taints=CONTROL_PLANE), log(tmp_path / "log", 5, "proxy-bcdf{}"))
    assert count.counted() == CountedSize(4, BY_LIST)
    for size in (4, 5):
        count.check(size)
    with pytest.raises(UsageError, match="these files list 5 nodes"):
        count.check(3)


def test_a_list_of_fewer_nodes_than_jobs_ran_on_decides_nothing(tmp_path: Path) -> None:
    count = counted(node_list(tmp_path / "nodes", 3), log(tmp_path / "log", 5))
    with pytest.raises(UsageError, match="3 nodes are listed, and pods of jobs ran on 5: say by --size"):
        count.counted()
    count.check(5)
    with pytest.raises(UsageError, match="pods of these files ran on 5 nodes"):
        count.check(4)


def test_files_of_neither_events_nor_nodes_tell_no_size(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text('{"kind": "List", "items": [5]}\n{"manifests": {}}\n{"kind": "Node", "metadata": 5}\nno json\n')
    assert counted(other).counted() is None
    counted(other).check(4)


def clusters(directory: Path) -> dict[str, int]:
    ledger = Ledger(directory, create=False)
    found = {row.cluster: row.size for row in ledger.clusters("r")}
    ledger.close()
    return found


def test_an_import_without_a_size_takes_the_one_that_the_files_tell_and_says_from_what(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--run", "r", "--out", str(tmp_path / "study")]
    assert cli.run(["import", str(log(tmp_path / "log", 3)), *out]) == 0
    assert f"size: 3, {BY_PODS}; --size says otherwise" in capsys.readouterr().out
    assert clusters(tmp_path / "study") == {"r-3": 3}


def test_a_size_that_the_files_contradict_is_refused_before_anything_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--run", "r", "--out", str(tmp_path / "study")]
    assert cli.run(["import", str(log(tmp_path / "log", 3)), "--size", "2", *out]) == 2
    assert "pods of these files ran on 3 nodes" in capsys.readouterr().err
    assert not (tmp_path / "study").exists()


def test_of_a_pipe_a_contradiction_is_told_when_it_was_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe, text = tmp_path / "pipe", log(tmp_path / "log", 3).read_bytes()
    os.mkfifo(pipe)
    writer = Thread(target=lambda: pipe.write_bytes(text))
    writer.start()
    code = cli.run(["import", str(pipe), "--size", "2", "--run", "r", "--out", str(tmp_path / "study")])
    writer.join()
    assert code == 2
    assert "ran on 3 nodes" in (said := capsys.readouterr().err)
    assert "stored, as cluster r-2" in said


def test_every_option_of_the_import_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "import.md").read_text()
    command: Any = typer.main.get_command(cli.app)
    options = [name for param in command.commands["import"].params for name in param.opts if name.startswith("--")]
    assert {"--size", "--cache"} <= set(options)
    assert [name for name in options if name not in text] == []
