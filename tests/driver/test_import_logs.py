"""Logs of earlier runs come into the store once, however they are cut, mixed or repeated."""

import gzip
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from driver.errors import UsageError
from driver.importing.import_logs import REJECTS_FILE, FileTally, import_logs
from driver.importing.import_stores import destination_of_import, import_store
from driver.importing.log_file import check_readable
from pullstudy.pulls.decode import Origin
from pullstudy.pulls.kinds import STREAMING
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.store.destination import Destination
from pullstudy.store.embedded.ledger import Ledger, NodeRow, NodeSource
from pullstudy.store.embedded.store import EmbeddedStore

STUDY_REPOSITORY = "ghcr.io/converged-computing/container-chonks-run1"
ORIGIN = Origin(cluster="aws-4", run="aws", size=4)


def take(paths: list[Path], directory: Path, origin: Origin = ORIGIN) -> list[FileTally]:
    with import_store(Destination(), directory, origin.cluster, {}, print) as store:
        return import_logs(paths, origin, directory, store, now=lambda: datetime(2024, 11, 11, tzinfo=UTC))


def stored(directory: Path) -> list[PullRecord]:
    store = EmbeddedStore(directory, create=False)
    try:
        return list(store.pulls())
    finally:
        store.close_now()


def log_of(study_data: Path, size: int) -> Path:
    return study_data / "pulling-aws" / f"events-size-{size}.json"


def test_sizes_4_8_and_16_give_every_pull_of_the_study_once(study_data: Path, tmp_path: Path) -> None:
    for size in (4, 8, 16):
        take([log_of(study_data, size)], tmp_path, Origin(cluster=f"aws-{size}", run="aws", size=size))
    pulled = [each for each in stored(tmp_path) if each.repository == STUDY_REPOSITORY]
    assert {each.outcome for each in pulled} == {Outcome.PULLED}
    assert len(pulled) == 6 * (4 + 8 + 16)
    assert {size: sum(each.size == size for each in pulled) for size in (4, 8, 16)} == {4: 24, 8: 48, 16: 96}


def test_a_file_imported_twice_in_pieces_and_shuffled_changes_nothing(study_data: Path, tmp_path: Path) -> None:
    log = log_of(study_data, 4)
    take([log], tmp_path / "once")
    lines = log.read_bytes().splitlines(keepends=True)
    random.Random(4).shuffle(lines)
    pieces = [tmp_path / f"piece-{number}" for number in range(3)]
    for number, piece in enumerate(pieces):
        piece.write_bytes(b"".join(lines[number::3]))
    take([log, *pieces, log], tmp_path / "often")
    take(pieces, tmp_path / "often")
    assert stored(tmp_path / "often") == stored(tmp_path / "once")


def test_a_kubectl_list_of_the_same_events_gives_the_same_records(study_data: Path, tmp_path: Path) -> None:
    events = [json.loads(line) for line in log_of(study_data, 4).read_bytes().splitlines()]
    listed = tmp_path / "list.json"
    listed.write_text(json.dumps({"kind": "List", "items": [each for each in events if "reason" in each]}, indent=4))
    take([log_of(study_data, 4)], tmp_path / "log")
    take([listed], tmp_path / "list")
    assert stored(tmp_path / "list") == stored(tmp_path / "log")


def test_lines_that_cannot_be_read_are_counted_with_their_numbers_and_kept(study_data: Path, tmp_path: Path) -> None:
    lines = log_of(study_data, 4).read_bytes().splitlines(keepends=True)
    lines[10:10] = [b"W1111 no json\n", b'{"metadata": {"name": "cut\n']
    log = tmp_path / "log"
    log.write_bytes(b"".join(lines))
    (tally,) = take([log], tmp_path / "out")
    assert [reject.position for reject in tally.rejects] == ["11", "12"]
    kept = [json.loads(line) for line in (tmp_path / "out" / REJECTS_FILE).read_text().splitlines()]
    assert [(each["position"], each["raw"]) for each in kept] == [
        ("11", "W1111 no json"),
        ("12", '{"metadata": {"name": "cut'),
    ]
    take([log_of(study_data, 4)], tmp_path / "whole")
    assert stored(tmp_path / "out") == stored(tmp_path / "whole")


def test_a_truncated_gzip_gives_what_it_holds_and_says_that_it_is_cut_off(study_data: Path, tmp_path: Path) -> None:
    packed = gzip.compress(log_of(study_data, 4).read_bytes())
    whole, cut = tmp_path / "whole.gz", tmp_path / "cut.gz"
    whole.write_bytes(packed)
    cut.write_bytes(packed[: len(packed) // 2])
    (tally,) = take([cut], tmp_path / "out")
    assert tally.cut_off
    assert 0 < len(stored(tmp_path / "out")) < 43
    (tally,) = take([whole], tmp_path / "out")
    assert tally.cut_off is None
    assert len(stored(tmp_path / "out")) == 43


def test_nodes_become_the_environment_of_their_cluster(study_data: Path, tmp_path: Path) -> None:
    (tally,) = take([study_data / "pulling-aws" / "nodes-4.json"], tmp_path)
    assert tally.nodes == 4
    ledger = Ledger(tmp_path, create=False)
    (row,) = ledger.clusters("aws")
    ledger.close()
    environment = json.loads(row.environment or "")
    assert (environment["nodes"], environment["instance_types"]) == (4, ["c5a.4xlarge"])
    take([log_of(study_data, 4)], tmp_path)
    ledger = Ledger(tmp_path, create=False)
    assert ledger.clusters("aws") == [row]
    ledger.close()


def environment(directory: Path, run: str = "aws") -> dict[str, Any]:
    ledger = Ledger(directory, create=False)
    (row,) = ledger.clusters(run)
    ledger.close()
    return json.loads(row.environment or "{}")  # type: ignore[no-any-return]


def nodes(directory: Path, cluster: str = "aws-4") -> list[NodeRow]:
    ledger = Ledger(directory, create=False)
    found = list(ledger.nodes(cluster))
    ledger.close()
    return found


def test_nodes_of_which_only_events_tell_are_known_by_their_labels(study_data: Path, tmp_path: Path) -> None:
    log = study_data / "gke-streaming-on" / "events-4.jsonl"
    take([log], tmp_path)
    told = nodes(tmp_path)
    assert {(row.source, row.instance_type, row.zone) for row in told} == {
        (NodeSource.EVENTS, "n1-standard-16", "us-central1-a")
    }
    known = environment(tmp_path)
    assert (known["nodes"], known["kubelets"]) == (4, [])
    assert "image streaming: true" in known["treatments"]
    take([study_data / "gke-streaming-on" / "nodes-4.json"], tmp_path)
    take([log], tmp_path)
    assert [row.node for row in nodes(tmp_path)] == [row.node for row in told]
    assert {row.kubelet for row in nodes(tmp_path)} == {"v1.30.5-gke.1355000"}
    assert environment(tmp_path)["kubelets"] == ["v1.30.5-gke.1355000"]


def test_streamings_come_in_with_the_log(study_data: Path, tmp_path: Path) -> None:
    log = study_data / "gke-streaming-on" / "events-4.jsonl"
    (first,), (again,) = take([log], tmp_path), take([log], tmp_path)
    store = EmbeddedStore(tmp_path, create=False)
    streamings = list(store.records(STREAMING))
    store.close_now()
    assert len(streamings) == 40
    assert (first.kinds["notice"] > 40, again.new) == (True, 0)


def test_manifests_become_layers(study_data: Path, tmp_path: Path) -> None:
    (tally,) = take([study_data / "pulling-aws" / "manifests-config-layers.json"], tmp_path)
    assert tally.layers == 19 * 9 + 19 * 125


def test_a_document_of_something_else_is_a_reject(study_data: Path, tmp_path: Path) -> None:
    (tally,) = take([study_data / "pulling-test-run3" / "raw-times.json"], tmp_path)
    assert [reject.position for reject in tally.rejects] == ["1"]


def test_a_missing_file_is_told_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        check_readable([tmp_path / "absent.json"])


def test_only_manifests_can_be_imported_without_a_size(study_data: Path, tmp_path: Path) -> None:
    unsized = Origin(cluster="aws", run="aws")
    (tally,) = take([study_data / "pulling-aws" / "manifests-config-layers.json"], tmp_path, unsized)
    assert tally.layers > 0
    ledger = Ledger(tmp_path, create=False)
    assert ledger.clusters("aws") == []
    ledger.close()
    for name, what in (("events-size-4.json", "events"), ("nodes-4.json", "nodes")):
        with pytest.raises(UsageError, match=rf"{name} has {what}: say by --size how many nodes"):
            take([study_data / "pulling-aws" / name], tmp_path, unsized)


def test_a_run_is_imported_where_it_was_begun(tmp_path: Path) -> None:
    environment = {"INFLUXDB_V2_TOKEN": "t", "INFLUXDB_V2_ORG": "lab"}
    url = "http://influx:8086"
    assert destination_of_import(tmp_path, "aws", None, environment) == Destination()
    asked = destination_of_import(tmp_path, "aws", url, environment)
    assert asked == Destination(influx=url, organisation="lab", bucket="pulls")
    take([], tmp_path)
    assert destination_of_import(tmp_path, "aws", None, environment) == Destination()
    with pytest.raises(UsageError, match="run 'aws' is in the study's own file, not in bucket pulls of InfluxDB"):
        destination_of_import(tmp_path, "aws", url, environment)
    with import_store(Destination(), tmp_path, "other-4", {}, print) as store:
        origin = Origin(cluster="other-4", run="other", size=4)
        import_logs([], origin, tmp_path, store, destination=asked, now=lambda: datetime.now(UTC))
    assert destination_of_import(tmp_path, "other", None, environment) == asked
