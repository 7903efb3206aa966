"""Two clusters whose events have equal uids, as a restored etcd makes them, in one data directory."""

import json
from pathlib import Path

import msgspec
import pytest

from collector.monitoring.status import CollectorStatus
from collector.sources.intake import Intake
from collector.sources.recent_events import RecentEvents
from pullstudy.pulls.decode import Origin
from pullstudy.store.embedded.store import EmbeddedStore
from tests.collector.kube_events import event


@pytest.mark.attack("two clusters with equal uids in one --data-dir", "the cluster is part of a record's identity")
def test_each_clusters_records_are_kept(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path, create=True)
    for cluster in ("one", "other"):
        intake = Intake(Origin(cluster=cluster), RecentEvents(100), CollectorStatus())
        for number in range(30):
            intake.item(msgspec.Raw(json.dumps(event(number)).encode()), "1")
        assert store.write_now(intake.take_batch()) == 60  # a pull and a milestone each
    found = [(record.cluster, record.event_uid) for record in store.pulls()]
    store.close_now()
    assert len(set(found)) == len(found) == 60
    assert {uid for cluster, uid in found if cluster == "one"} == {uid for cluster, uid in found if cluster == "other"}
