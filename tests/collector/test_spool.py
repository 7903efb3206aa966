"""The spool: whole or repaired, never wrong, never ahead of its records."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from zlib import crc32

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import DataDirectoryError, SpoolLayoutError
from collector.settings import SpoolSettings
from collector.sources.checkpoint import EVENTS, Checkpoint
from collector.spooling.frame import Entry, encode_frame, read_frames
from collector.spooling.spool import ACKNOWLEDGED, Spool
from pullstudy.pulls.batch import Batch, Reject

UPGRADE = Path(__file__).parent.parent / "data" / "upgrade"
SMALL = SpoolSettings(segment_bytes=600, most_bytes=4_000)


def batch(number: int, records: int = 1) -> Batch:
    return Batch(
        rejects=tuple(
            Reject(cluster="c", source="watch", position=str(number), problem=f"{index}", raw="x" * 50)
            for index in range(records)
        )
    )


def framed(payload: bytes) -> bytes:
    length = len(payload).to_bytes(4, "little")
    return length + crc32(length + payload).to_bytes(4, "little") + payload


def positions(entries: list[Entry]) -> list[str]:
    return [reject.position for entry in entries for reject in entry.batch.rejects]


def fill(directory: Path, count: int, first: int = 1) -> None:
    with Spool(directory, SMALL) as spool:
        for number in range(first, first + count):
            spool.append("events", str(number).encode(), batch(number))


def test_what_was_appended_comes_back_in_order_after_reopening(tmp_path: Path) -> None:
    fill(tmp_path, 20)
    with Spool(tmp_path, SMALL) as spool:
        assert spool.damage == []
        assert spool.position("events") == b"20"
        assert positions(spool.read(1_000)) == [str(number) for number in range(1, 21)]
        assert spool.read(1_000) == []


def test_reading_goes_on_with_what_is_appended_meanwhile(tmp_path: Path) -> None:
    with Spool(tmp_path, SMALL) as spool:
        read: list[str] = []
        for number in range(1, 30):
            spool.append("events", str(number).encode(), batch(number))
            if number % 4 == 0:
                read += positions(spool.read(3))
        while entries := spool.read(3):
            read += positions(entries)
        assert read == [str(number) for number in range(1, 30)]


def test_what_is_acknowledged_is_not_given_back_and_its_segments_are_deleted(tmp_path: Path) -> None:
    fill(tmp_path, 20)
    with Spool(tmp_path, SMALL) as spool:
        before = spool.size_bytes
        entries = spool.read(10)
        spool.acknowledge(entries[-1].number)
        assert spool.size_bytes < before
    with Spool(tmp_path, SMALL) as spool:
        assert positions(spool.read(1_000)) == [str(number) for number in range(11, 21)]
        spool.acknowledge(spool.last)
        assert len(list(tmp_path.glob("*.spool"))) == 1


@pytest.mark.parametrize("size", [700_000, 1_500_000])
def test_entries_of_any_size_come_back_whole(tmp_path: Path, size: int) -> None:
    large = Batch(rejects=(Reject(cluster="c", source="watch", position="l", problem="p", raw="x" * size),))
    with Spool(tmp_path, SpoolSettings()) as spool:
        for number in range(4):
            spool.append("events", b"1", large)
            spool.append("events", b"1", batch(number))
        assert positions(spool.read(3)) == ["l", "0", "l"]
        assert positions(spool.read(100)) == ["1", "l", "2", "l", "3"]
        assert spool.damage == []


def test_a_position_outlives_the_segments_of_its_records(tmp_path: Path) -> None:
    fill(tmp_path, 20)
    for _ in range(3):
        with Spool(tmp_path, SMALL) as spool:
            spool.read(1_000)
            spool.acknowledge(spool.last)
            assert spool.position("events") == b"20"


def test_each_source_has_a_position_of_its_own_which_outlives_the_segments_of_its_records(tmp_path: Path) -> None:
    with Spool(tmp_path, SMALL) as spool:
        spool.append("pods", b"\x00p", batch(1))
        for number in range(20):
            spool.append("events", str(number).encode(), batch(number))
        spool.append("pods", None, batch(1))  # without a position: it stays where it was
        assert spool.position("nodes") is None
        spool.acknowledge(spool.last)
        assert len(list(tmp_path.glob("*.spool"))) == 1
    with Spool(tmp_path, SMALL) as spool:
        assert (spool.position("pods"), spool.position("events")) == (b"\x00p", b"19")


def test_what_was_read_says_which_source_it_is_from(tmp_path: Path) -> None:
    with Spool(tmp_path, SMALL) as spool:
        spool.append("events", b"1", batch(1))
        spool.append("pods", None, batch(2))
        read = [entry for entry in spool.read(100) if entry.batch]
        assert [(entry.source, entry.position) for entry in read] == [("events", b"1"), ("pods", None)]


def test_a_full_spool_has_room_again_when_half_of_it_is_stored(tmp_path: Path) -> None:
    with Spool(tmp_path, SMALL) as spool:
        while not spool.full:
            spool.append("events", b"1", batch(1))
        entries = [entry.number for entry in spool.read(1_000)]
        held = []
        for number in entries:
            if spool.has_room:
                break
            held.append(spool.size_bytes)
            spool.acknowledge(number)
        assert not spool.full
        assert len(held) > len(entries) // 3
        assert spool.size_bytes <= SMALL.most_bytes // 2 < min(held)


@pytest.mark.parametrize("most_bytes", [0, 1, 400, 600, 1_000])
def test_a_limit_smaller_than_a_segment_is_held_and_blocks_nothing_for_ever(tmp_path: Path, most_bytes: int) -> None:
    with Spool(tmp_path, SpoolSettings(segment_bytes=600, most_bytes=most_bytes)) as spool:
        largest = 0
        for number in range(1, 30):
            spool.append("events", str(number).encode(), batch(number))
            largest = max(largest, spool.size_bytes)
            if spool.full:
                assert spool.read(1_000)
                spool.acknowledge(spool.last)
            assert not spool.full
        entry = len(encode_frame(Entry(number=1, source="events", position=b"1", batch=batch(1))))
        assert largest < most_bytes + 4 * entry


def test_it_is_full_at_its_bound_until_something_is_acknowledged(tmp_path: Path) -> None:
    with Spool(tmp_path, SMALL) as spool:
        number = 0
        while not spool.full:
            number += 1
            spool.append("events", str(number).encode(), batch(number))
        assert spool.size_bytes < SMALL.most_bytes + SMALL.segment_bytes
        spool.read(1_000)
        spool.acknowledge(spool.last)
        assert not spool.full


def test_a_torn_acknowledgement_counts_as_none(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    with Spool(tmp_path, SMALL) as spool:
        spool.acknowledge(2)
    (tmp_path / ACKNOWLEDGED).write_bytes(b"\x02\x00\x00")
    with Spool(tmp_path, SMALL) as spool:
        assert positions(spool.read(1_000)) == ["1", "2", "3"]


def test_two_collectors_cannot_share_a_spool(tmp_path: Path) -> None:
    with Spool(tmp_path, SMALL), pytest.raises(DataDirectoryError, match="another collector"):
        Spool(tmp_path, SMALL)
    with Spool(tmp_path, SMALL):
        pass


def test_a_spool_of_another_layout_is_refused_and_not_touched(tmp_path: Path) -> None:
    frame = framed(msgspec.msgpack.encode({"number": 1, "layout": 9, "other": True}))
    path = tmp_path / "segment-0000000000000001.spool"
    path.write_bytes(frame)
    with pytest.raises(SpoolLayoutError, match="layout 9"):
        Spool(tmp_path, SMALL)
    assert path.read_bytes() == frame


def test_a_spool_with_records_of_a_kind_that_is_not_known_is_refused_and_not_touched(
    tmp_path: Path,
) -> None:
    entry = {"number": 1, "source": "s", "position": None, "positions": {}, "batch": {"novelties": [{}]}, "layout": 2}
    path = tmp_path / "segment-0000000000000001.spool"
    path.write_bytes(frame := framed(msgspec.msgpack.encode(entry)))
    with pytest.raises(SpoolLayoutError, match="novelties"):
        Spool(tmp_path, SMALL)
    assert path.read_bytes() == frame


def test_numbers_of_entries_that_were_cut_off_after_they_were_stored_are_not_given_again(tmp_path: Path) -> None:
    with Spool(tmp_path, SpoolSettings()) as spool:
        for number in range(1, 4):
            spool.append("events", str(number).encode(), batch(number))
        spool.acknowledge(spool.last)
    segment = next(tmp_path.glob("*.spool"))
    segment.write_bytes(segment.read_bytes()[:-3])
    with Spool(tmp_path, SpoolSettings()) as spool:
        assert spool.position("events") == b"2"
        spool.append("events", b"3", batch(3))
        assert positions(spool.read(10)) == ["3"]


def test_a_spool_of_layout_1_is_delivered_completely_and_gone_on_with(tmp_path: Path) -> None:
    """Written by the code of layout 1, and partly acknowledged: see tests/data/upgrade."""
    shutil.copytree(UPGRADE / "spool-layout-1", tmp_path, dirs_exist_ok=True)
    with Spool(tmp_path, SMALL) as spool:
        assert spool.damage == []
        checkpoint = Checkpoint.decode(spool.position(EVENTS))
        assert checkpoint == Checkpoint("1012", "11111111-2222-3333-4444-555555555555", "team-a")
        before = spool.read(1_000)
        assert [pull.event_uid for entry in before for pull in entry.batch.pulls] == [f"u{n}" for n in range(4, 13)]
        assert [each.at.second for entry in before for each in entry.batch.milestones] == list(range(4, 13))
        assert {entry.source for entry in before} == {EVENTS}
        assert len([gap for entry in before for gap in entry.batch.gaps]) == 1
        assert positions(before) == ["1006", "1012"]
        spool.append("pods", b"p", batch(13))
    with Spool(tmp_path, SMALL) as spool:
        assert [entry for entry in spool.read(1_000) if entry.source == EVENTS] == before
        spool.acknowledge(spool.last)
        while len(list(tmp_path.glob("*.spool"))) > 1 or not spool.position("other"):
            spool.append("other", b"o", batch(14))
            spool.acknowledge(spool.last)
    with Spool(tmp_path, SMALL) as spool:  # nothing of layout 1 is left
        assert Checkpoint.decode(spool.position(EVENTS)) == checkpoint
        assert (spool.position("pods"), spool.position("other")) == (b"p", b"o")


def whole_spool(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.glob("*.spool")))


def last_position(entries: list[Entry]) -> bytes | None:
    positions = [entry.positions.get("events") or entry.position for entry in entries]
    return positions[-1] if positions else None


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 12), where=st.floats(0, 1, exclude_max=True), bit=st.integers(-1, 7))
def test_any_truncation_or_flipped_bit_keeps_all_whole_entries_and_goes_back_to_the_position_before(
    count: int, where: float, bit: int
) -> None:
    """bit -1 truncates at that place; the others flip that bit of the byte there."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        fill(directory, count)
        paths = sorted(directory.glob("*.spool"))
        place = int(where * sum(path.stat().st_size for path in paths))
        before: list[Entry] = []
        behind: list[Entry] = []
        damaged = False
        for path in paths:
            data = path.read_bytes()
            frames = list(read_frames(data))
            if 0 <= place < len(data):
                damaged = True
                before += [entry for entry, end in frames if end <= place]
                starts = [0, *(end for _, end in frames)]
                behind += [
                    entry for (entry, _), start in zip(frames, starts, strict=False) if bit >= 0 and start > place
                ]
                kept = data[:place] if bit < 0 else data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
                path.write_bytes(kept)
            else:
                (behind if damaged else before).extend(entry for entry, _ in frames)
            place -= len(data)
        expected = positions([*before, *behind])
        with Spool(directory, SMALL) as spool:
            assert spool.position("events") == last_position(before)
            assert positions(spool.read(1_000)) == expected
            spool.append("events", b"after", batch(99))
            assert positions(spool.read(1_000)) == ["99"]
        with Spool(directory, SMALL) as spool:
            assert spool.damage == []
            assert spool.position("events") == b"after"
            assert positions(spool.read(1_000)) == [*expected, "99"]


def test_damage_is_told_and_kept_and_what_lies_behind_it_is_delivered(tmp_path: Path) -> None:
    fill(tmp_path, 20)
    first, *rest = sorted(tmp_path.glob("*.spool"))
    assert rest
    data = bytearray(first.read_bytes())
    data[-1] ^= 1
    first.write_bytes(bytes(data))
    with Spool(tmp_path, SMALL) as spool:
        assert len(spool.damage) == 1
        assert str(first) in spool.damage[0]
        assert first.with_name(f"{first.name}.damaged").read_bytes() == data
        assert spool.position("events") == b"2"
        read = spool.read(1_000)
        assert positions(read) == ["1", "2", *(str(number) for number in range(4, 21))]
        assert len([gap for entry in read for gap in entry.batch.gaps]) == 1


def test_a_run_of_zeros_is_no_frame() -> None:
    assert list(read_frames(bytes(64))) == []
