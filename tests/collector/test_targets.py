"""What the spool delivers is on the bus, in the store, or in a file that says why not, before it is acknowledged."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.delivering.dead_letters import FILE_NAME, DeadLetterFile
from collector.delivering.delivery import Written
from collector.delivering.targets import BusTarget, EmbeddedTarget, StoreTarget
from collector.errors import DataDirectoryError
from pullstudy.bus.embedded import EmbeddedBus
from pullstudy.bus.record_format import decode
from pullstudy.pulls.batch import Batch
from pullstudy.store.embedded.store import EmbeddedStore
from pullstudy.store.protocol import Delivered, Refused
from tests.notices import KeptNotices
from tests.store.records import milestone, pull

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class RefusingKeeper:
    """Takes all but one."""

    def __init__(self, uid: str, reason: str = "422 type conflict") -> None:
        self._uid, self._reason = uid, reason

    async def deliver(self, batch: Batch) -> Delivered:
        refused = tuple(Refused(record, self._reason) for record in batch.pulls if record.event_uid == self._uid)
        return Delivered(len(batch) - len(refused), refused)


async def test_a_batch_on_the_bus_is_counted_without_its_dead_letters() -> None:
    bus = EmbeddedBus(most_message_bytes=2_000)
    written = await BusTarget(bus).write(
        Batch(pulls=(pull("a"), pull("b", error="x" * 3_000)), milestones=(milestone(),))
    )
    assert written == Written(2, dead=1)
    assert [decode(letter.value) for letter in bus.dead] == [pull("b", error="x" * 3_000)]


async def test_the_embedded_store_tells_what_it_had_before(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path, create=True)
    target = EmbeddedTarget(store)
    assert await target.write(Batch(pulls=(pull("a"),))) == Written(1)
    assert await target.write(Batch(pulls=(pull("a"), pull("b")))) == Written(1, before=1)
    await store.close()


async def test_what_the_store_refuses_is_in_the_file_as_it_was_with_the_reason(tmp_path: Path) -> None:
    notices = KeptNotices()
    target = StoreTarget(RefusingKeeper("odd"), DeadLetterFile(tmp_path), notices, lambda: NOW)
    assert await target.write(Batch(pulls=(pull("a"), pull("odd", error="two\nlines"), pull("b")))) == Written(
        2, dead=1
    )
    assert await target.write(Batch(pulls=(pull("odd"),))) == Written(0, dead=1)
    first, second = (tmp_path / FILE_NAME).read_text().splitlines()
    found = json.loads(first)
    assert (found["at"], found["reason"]) == ("2026-01-01T00:00:00Z", "422 type conflict")
    assert decode(json.dumps(found["record"]).encode()) == pull("odd", error="two\nlines")
    assert json.loads(second)["record"]["event_uid"] == "odd"
    assert FILE_NAME in notices.said("warning")[0]


async def test_without_dead_letters_there_is_no_file(tmp_path: Path) -> None:
    target = StoreTarget(RefusingKeeper("none"), DeadLetterFile(tmp_path), KeptNotices(), lambda: NOW)
    assert await target.write(Batch(pulls=(pull("a"),))) == Written(1)
    assert not DeadLetterFile(tmp_path).path.exists()


def test_a_record_that_json_cannot_hold_is_kept_as_text(tmp_path: Path) -> None:
    DeadLetterFile(tmp_path).bury([Refused(pull("odd", error="\ud800"), "why")], NOW)
    assert "odd" in json.loads((tmp_path / FILE_NAME).read_text())["record"]


def test_a_full_file_stops_loudly_and_what_is_in_it_stays(tmp_path: Path) -> None:
    file = DeadLetterFile(tmp_path, most_bytes=800)
    file.bury([Refused(pull("a"), "why")], NOW)
    before = file.path.read_bytes()
    with pytest.raises(DataDirectoryError, match="at its limit of 800 bytes"):
        file.bury([Refused(pull("b"), "why")], NOW)
    assert file.path.read_bytes() == before


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(DataDirectoryError, match="is a directory") as raised:
        DeadLetterFile(tmp_path).bury([Refused(pull("b"), "why")], NOW)
    assert "\n" not in str(raised.value)
