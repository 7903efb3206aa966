"""Bit rot in the spool, at rest and while it is read: every whole record is given back, once, and nothing is silent."""

import asyncio
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.clock import SystemClock
from collector.delivering.targets import EmbeddedTarget
from collector.errors import SpoolError
from collector.log import Format, Log
from collector.settings import SpoolSettings
from collector.spooling.frame import HEAD_BYTES, Entry, encode_frame, read_frames
from collector.spooling.spool import ACKNOWLEDGED, Spool
from collector.spooling.spool_queue import SpoolQueue
from pullstudy.pulls.batch import Batch, Reject
from pullstudy.store.embedded.store import EmbeddedStore
from pullstudy.store.protocol import StoreError
from tests.collector.api_server import ApiServer, serving, write_kubeconfig
from tests.collector.harness import stored_counts
from tests.collector.kube_events import event
from tests.collector.test_command import collector, ended, until_stored
from tests.store.records import pull

Attack = Callable[..., None]
SETTINGS = SpoolSettings(segment_bytes=1_500, most_bytes=1 << 20)
COUNT = 40
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # 30,000 synchronisations take minutes on a disk
HELD = "whole frames before and behind are given back, a gap, the file kept"


def record(number: int) -> Batch:
    # Texts that look like the beginning and the end of a frame.
    raw = "Φnumber ↦number \x00 Φlayout" + "x" * (number % 7 * 20)
    return Batch(rejects=(Reject(cluster="c", source="watch", position=str(number), problem="p", raw=raw),))


def fill(spool: Spool, count: int = COUNT) -> None:
    for number in range(1, count + 1):
        spool.append("events", str(number).encode(), record(number))


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.spool"))


def drain(spool: Spool, most: int = 5) -> list[Entry]:
    found = []
    while entries := spool.read(most):
        found += entries
        spool.acknowledge(entries[-1].number)
    return found


def given_back(entries: list[Entry]) -> list[int]:
    return [int(each.position) for entry in entries for each in entry.batch.rejects]


def gap_numbers(entries: list[Entry]) -> set[int]:
    gaps = [gap for entry in entries for gap in entry.batch.gaps]
    return {number for gap in gaps for number in range(int(gap.from_version), int(gap.to_version) + 1)}


def damaged(data: bytes, kind: str, start: int, length: int, bit: int) -> bytes:
    end = min(len(data), start + length)
    changed = {
        "flip": data[:start] + bytes([data[start] ^ 1 << bit]) + data[start + 1 :],
        "zero": data[:start] + bytes(end - start) + data[end:],
        "cut": data[:start] + data[end:],
        "truncate": data[:start],
        "insert": data[:start] + Random(start).randbytes(length) + data[start:],
        "overwrite": data[:start] + Random(start).randbytes(end - start) + data[end:],
        "repeat": data[:end] + data[start:end] + data[end:],
    }
    return changed[kind]


def whole_numbers(before: bytes, after: bytes) -> tuple[list[int], list[int]]:
    """The numbers of the entries before, and of those whose frame is still there, byte by byte, in order."""
    every, whole, start, place = [], [], 0, 0
    for entry, end in read_frames(before):
        every.append(entry.number)
        found = after.find(before[start:end], place)
        if found >= 0:
            whole.append(entry.number)
            place = found + end - start
        start = end
    return every, whole


KINDS = ["flip", "zero", "cut", "truncate", "insert", "overwrite", "repeat"]
damages = given(
    kind=st.sampled_from(KINDS),
    segment=st.integers(0, 99),
    where=st.floats(0, 1, exclude_max=True),
    length=st.integers(1, 600),
    bit=st.integers(0, 7),
    read_before=st.integers(0, 12),
)


def try_damage(
    directory: Path, running: bool, kind: str, segment: int, where: float, length: int, bit: int, read_before: int
) -> None:
    spool = Spool(directory, SETTINGS)
    fill(spool)
    first = spool.read(read_before) if read_before else []
    if not running:
        spool.acknowledge(first[-1].number if first else 0)
        spool.close()
    taken = given_back(first)
    paths = segments(directory)
    path = paths[segment % len(paths)]
    before = path.read_bytes()
    after = damaged(before, kind, int(where * len(before)), length, bit)
    path.write_bytes(after)
    every, whole = whole_numbers(before, after)
    numbers = {e.number: int(e.batch.rejects[0].position) for e, _ in read_frames(before) if e.batch.rejects}
    hurt = {numbers[number] for number in set(every) - set(whole) if number in numbers}
    if not running:
        spool = Spool(directory, SETTINGS)
    with spool:
        rest = drain(spool)
        back = given_back(rest)
        assert [*taken, *back] == [n for n in range(1, COUNT + 1) if n in taken or n not in hurt]
        lost = {number for number in set(every) - set(whole) if numbers.get(number) not in taken and number in numbers}
        newest_cut = path == paths[-1] and not running
        if lost and not newest_cut:
            assert lost <= gap_numbers(rest)
            assert spool.damage
        if lost and not spool.damage:  # cut off where a frame ends: as if it had never been written
            assert kind in ("truncate", "cut")
            assert not running
            assert int(spool.position("events") or 0) < min(numbers[number] for number in lost)
        if lost and not running:  # the source brings again what is lost
            assert int(spool.position("events") or 0) < min(numbers[number] for number in lost)
        spool.append("events", b"99", record(99))
        assert given_back(drain(spool)) == [99]
        if gap_numbers(rest) and after:
            assert [each for each in directory.glob("*.damaged*") if each.read_bytes() == after]
    with Spool(directory, SETTINGS) as spool:
        assert spool.damage == []
        assert spool.position("events") == b"99"
        assert spool.read(1_000) == []


@pytest.mark.parametrize("running", [False, True], ids=["at the start", "while running"])
def test_any_damage_anywhere_loses_only_what_it_hit_and_says_so(running: bool, attack: Attack) -> None:
    attack(f"spool: any of {len(KINDS)} damages anywhere, {'while running' if running else 'at the start'}", HELD)

    @settings(max_examples=300, deadline=None)
    @damages
    def tried(kind: str, segment: int, where: float, length: int, bit: int, read_before: int) -> None:
        with TemporaryDirectory(dir=MEMORY) as name:
            try_damage(Path(name), running, kind, segment, where, length, bit, read_before)

    tried()


def test_one_bit_in_segment_2_of_5_while_the_store_is_away_loses_one_entry_and_records_a_gap(
    tmp_path: Path, attack: Attack
) -> None:
    attack("spool: one bit in segment 2 of 5, while running", HELD)
    with Spool(tmp_path / "prod", SETTINGS) as spool:
        fill(spool)
        path = segments(spool.directory)[1]
        hurt = flip(path, path.stat().st_size // 2)
        entries = drain(spool)
        assert len(given_back(entries)) == COUNT - 1
        (gap,) = [gap for entry in entries for gap in entry.batch.gaps]
        assert (gap.cluster, gap.from_version) == ("prod", gap.to_version)
        assert path.name in gap.why
        assert len(spool.damage) == 1
        assert f"1 are lost, all others are kept; the file as it was is {path.name}.damaged" in spool.damage[0]
        assert path.with_name(f"{path.name}.damaged").read_bytes() == hurt


def flip(path: Path, place: int) -> bytes:
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)
    return bytes(data)


async def test_damage_found_while_running_is_logged_at_once(tmp_path: Path, attack: Attack) -> None:
    attack("spool: damage found while running", "said in the log as an error, once")
    lines: list[str] = []
    clock = SystemClock()
    with Spool(tmp_path, SETTINGS) as spool:
        fill(spool)
        flip(segments(tmp_path)[2], 700)
        queue = SpoolQueue(spool, Log(clock, Format.TEXT, lines.append), clock)
        queue.finish()
        while entries := await queue.take(5):
            await queue.acknowledge(entries[-1].number)
        await queue.close()
    assert len([line for line in lines if "the spool was damaged" in line]) == 1


@pytest.mark.parametrize("running", [False, True], ids=["at the start", "while running"])
@pytest.mark.parametrize("which", ["oldest", "middle", "newest", "all"])
def test_a_missing_segment_is_noticed(tmp_path: Path, which: str, running: bool, attack: Attack) -> None:
    when = "while running" if running else "at the start"
    attack(f"spool: {which} segment deleted {when}", "numbers have no holes: a gap, all others are given back")
    spool = Spool(tmp_path, SETTINGS)
    fill(spool)
    acknowledged = spool.read(2)
    spool.acknowledge(acknowledged[-1].number)
    paths = segments(tmp_path)
    gone = {"oldest": paths[:1], "middle": paths[2:3], "newest": paths[-1:], "all": paths}[which]
    kept = [
        int(e.batch.rejects[0].position)
        for p in paths
        if p not in gone
        for e, _ in read_frames(p.read_bytes())
        if e.batch
    ]
    if not running:
        spool.close()
    for path in gone:
        path.unlink()
    if not running:
        spool = Spool(tmp_path, SETTINGS)
    with spool:
        spool.append("events", b"41", record(41))
        rest = drain(spool)
        assert given_back(rest) == [*(number for number in kept if number not in given_back(acknowledged)), 41]
        if which == "newest" and not running:  # as if it had never been written: the source brings it again
            assert spool.damage == []
        else:
            assert spool.damage
            assert gap_numbers(rest)
    with Spool(tmp_path, SETTINGS) as spool:
        assert spool.damage == []


def test_a_segment_cut_while_it_is_written_takes_nothing_more(tmp_path: Path, attack: Attack) -> None:
    attack("spool: newest segment truncated while it is written", "the next record begins another file")
    with Spool(tmp_path, SpoolSettings()) as spool:
        fill(spool, 10)
        os.truncate(segments(tmp_path)[0], 300)
        for number in range(11, 21):
            spool.append("events", str(number).encode(), record(number))
        entries = drain(spool)
        back = given_back(entries)
        assert back == [*range(1, back.index(11) + 1), *range(11, 21)]
        assert len(gap_numbers(entries)) == 10 - back.index(11)


def test_a_forged_frame_within_a_damaged_record_is_not_taken(tmp_path: Path, attack: Attack) -> None:
    attack("spool: a frame forged inside of a damaged record", "the length is believed before the search")
    forged = encode_frame(Entry(number=4, source="events", position=b"4", batch=record(666)))
    with Spool(tmp_path, SpoolSettings()) as spool:
        spool.append("events", b"1", record(1))
        spool.append("events", forged, record(2))
        spool.append("events", b"3", record(3))
        path = segments(tmp_path)[0]
        flip(path, path.read_bytes().index(forged) - 3)
        assert given_back(drain(spool)) == [1, 3]


def test_a_segment_made_huge_takes_no_memory_and_hides_nothing(tmp_path: Path, attack: Attack) -> None:
    attack("spool: 2 GiB of zeros behind a segment", "mapped, and searched at the disk's pace")
    with Spool(tmp_path, SETTINGS) as spool:
        fill(spool)
    path = segments(tmp_path)[1]
    os.truncate(path, 2 << 30)
    with Spool(tmp_path, SETTINGS) as spool:
        assert given_back(drain(spool)) == list(range(1, COUNT + 1))
        assert len(spool.damage) == 1
        assert spool.size_bytes < 1 << 20


def test_100_000_texts_like_a_frame_in_a_damaged_one_are_searched_in_no_time(tmp_path: Path, attack: Attack) -> None:
    attack("spool: 100,000 false beginnings in a damaged record", "each is looked at for nanoseconds")
    text = "\x10\x00\x00\x00crc!↦number\x05" * 100_000
    with Spool(tmp_path, SpoolSettings()) as spool:
        spool.append(
            "events", b"1", Batch(rejects=(Reject(cluster="c", source="w", position="1", problem="", raw=text),))
        )
        spool.append("events", b"2", record(2))
        path = segments(tmp_path)[0]
        first = next(end for entry, end in read_frames(path.read_bytes()) if entry.number == 1)
        flip(path, first)  # its length
        assert given_back(drain(spool)) == [2]


@pytest.mark.parametrize("what", ["rubbish", "acknowledged", "header"])
def test_other_damage_is_said_and_loses_nothing(tmp_path: Path, what: str, attack: Attack) -> None:
    attack(f"spool: damage to {what}", "said; every record is given back")
    with Spool(tmp_path, SETTINGS) as spool:
        fill(spool)
        spool.acknowledge(spool.read(3)[-1].number)
    path = {"rubbish": segments(tmp_path)[1], "header": segments(tmp_path)[1]}.get(what, tmp_path / ACKNOWLEDGED)
    if what == "rubbish":
        path.write_bytes(path.read_bytes() + b"\xff" * 99)
    else:
        flip(path, HEAD_BYTES + 1)
    with Spool(tmp_path, SETTINGS) as spool:
        assert len(spool.damage) == 1
        assert str(path) in spool.damage[0]
        start = 1 if what == "acknowledged" else 4
        assert given_back(drain(spool)) == list(range(start, COUNT + 1))


@pytest.mark.parametrize("then", ["deleted", "replaced"])
async def test_a_store_that_is_gone_while_it_is_written_takes_no_acknowledgement(
    tmp_path: Path, then: str, attack: Attack
) -> None:
    attack(f"store: study.sqlite3 {then} while running", "the collector stops before it acknowledges, and says so")
    store = EmbeddedStore(tmp_path, create=True)
    try:
        assert (await EmbeddedTarget(store).write(Batch(pulls=(pull("a"),)))).new == 1
        (tmp_path / "other").write_bytes(b"")
        store.path.unlink() if then == "deleted" else os.replace(tmp_path / "other", store.path)
        with pytest.raises(StoreError, match="was deleted or replaced"):
            await EmbeddedTarget(store).write(Batch(pulls=(pull("b"),)))
    finally:
        await store.close()


@pytest.mark.attack("events whose every text is just below the cut", "a batch ends at 4 MiB of the spool too")
def test_a_batch_is_bounded_in_bytes(tmp_path: Path) -> None:
    wide = Batch(rejects=(Reject(cluster="c", source="w", position="1", problem="", raw="x" * 100_000),))
    with Spool(tmp_path, SpoolSettings()) as spool:
        for number in range(200):
            spool.append("events", str(number).encode(), wide)
        counts = []
        while entries := spool.read(4_000):
            counts.append(len(entries))
            spool.acknowledge(entries[-1].number)
    assert max(counts) * 100_000 < 5 << 20
    assert sum(counts) >= 200


@pytest.mark.parametrize("running", [False, True], ids=["at the start", "while running"])
def test_what_the_disk_cannot_read_costs_only_the_records_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, running: bool, attack: Attack
) -> None:
    attack(f"spool: a sector that cannot be read, {'while running' if running else 'at the start'}", HELD)
    settings = SpoolSettings(segment_bytes=30_000, most_bytes=1 << 20)
    spool = Spool(tmp_path, settings)
    fill(spool, 400)
    path = segments(tmp_path)[1]
    if not running:
        spool.close()
    bad, pread = path.stat().st_ino, os.pread

    def with_a_bad_sector(file: int, size: int, start: int) -> bytes:
        if os.fstat(file).st_ino == bad and start < 12_288 and start + size > 8_192:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return pread(file, size, start)

    monkeypatch.setattr(os, "pread", with_a_bad_sector)
    if not running:
        spool = Spool(tmp_path, settings)
    with spool:
        entries = drain(spool)
        missing = set(range(1, 401)) - set(given_back(entries))
        assert missing == set(range(min(missing), max(missing) + 1))
        assert 10 < len(missing) == len(gap_numbers(entries)) < 40
        assert len(spool.damage) == 1


@pytest.mark.parametrize("call", ["write", "fdatasync", "unlink", "pwrite", "open"])
def test_a_disk_that_fails_stops_the_spool_in_one_line_and_loses_nothing_that_was_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, attack: Attack
) -> None:
    attack(f"spool: the disk fails at {call}()", "SpoolError; what was taken is there at the next opening")
    taken: list[int] = []
    delivered: list[int] = []
    real = getattr(os, call)

    def failing(*arguments: object, **named: object) -> object:
        if len(taken) >= COUNT:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(*arguments, **named)

    def go_on(spool: Spool) -> None:
        for number in range(1, 1_000):
            spool.append("events", str(number).encode(), record(number))
            taken.append(number)
            if entries := spool.read(3) if number % 3 == 0 else []:
                delivered.extend(given_back(entries))
                spool.acknowledge(entries[-1].number)

    monkeypatch.setattr(os, call, failing)
    with Spool(tmp_path, SETTINGS) as spool:
        with pytest.raises(SpoolError, match="input/output error: look at the disk, and start again") as raised:
            go_on(spool)
        assert "\n" not in str(raised.value)
        if call in ("write", "fdatasync"):  # and again: a second source may be just about to append
            with pytest.raises(SpoolError):
                spool.append("pods", b"1", record(1_000))
    monkeypatch.undo()
    with Spool(tmp_path, SETTINGS) as spool:
        # What was being appended may be there, and its position with it.
        assert int(spool.position("events") or 0) in (len(taken), len(taken) + 1)
        assert spool.damage == []
        assert {*delivered, *given_back(drain(spool))} >= set(taken)


# The collector, on a disk that fails once this file is there.
FAILING = """
import errno, os
real = os.fdatasync
def failing(file):
    if os.path.exists({flag!r}):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    real(file)
os.fdatasync = failing
from collector.cli import main
main()
"""


@pytest.mark.parametrize("call", ["fdatasync"])
async def test_the_collector_says_that_its_disk_fails_and_goes_on_where_it_was(
    tmp_path: Path, call: str, attack: Attack
) -> None:
    attack(
        f"collector: EIO of the spool's disk at {call}()", "one line, exit code 1; all is stored after the next start"
    )
    flag = tmp_path / "broken"
    async with serving(ApiServer()) as server:
        kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", server.url)
        arguments = ("--cluster", "sim-t", "--kubeconfig", str(kubeconfig), "--data-dir", str(tmp_path / "out"))
        program = FAILING.format(flag=str(flag))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, *arguments, stderr=asyncio.subprocess.PIPE
        )
        assert process.stderr is not None
        while b"watching events" not in (said_first := await process.stderr.readline()):
            assert said_first
        for number in range(100):
            await server.put(event(number))
        await until_stored(tmp_path, 100)
        flag.touch()
        for number in range(100, 200):
            await server.put(event(number))
        code, said = await ended(process)
        assert (code, "Traceback" in said) == (1, False), said
        line = said.splitlines()[-1]
        assert line.startswith(f"collector: spool {tmp_path / 'out'}/spool/sim-t/")
        assert "input/output error: look at the disk, and start again" in line
        flag.unlink()
        async with collector(server, tmp_path) as again:
            await until_stored(tmp_path, 200)
            again.terminate()
            assert (await ended(again))[0] == 0
        assert set(map(tuple, stored_counts(tmp_path / "out").values())) == {(1,)}


@pytest.mark.parametrize("which", ["", "-wal"], ids=["the file", "the log beside it"])
async def test_a_collector_whose_store_is_deleted_stops_and_lists_again_at_the_next_start(
    tmp_path: Path, which: str, attack: Attack
) -> None:
    attack(f"collector: study.sqlite3{which} deleted while it runs", "one line, exit code 1; nothing is missing later")
    async with serving(ApiServer()) as server:
        async with collector(server, tmp_path) as process:
            for number in range(50):
                await server.put(event(number))
            await until_stored(tmp_path, 50)
            (tmp_path / "out" / f"study.sqlite3{which}").unlink()
            await server.put(event(50))
            code, said = await ended(process)
        assert (code, "Traceback" in said) == (1, False), said
        assert f"study.sqlite3{which} was deleted or replaced" in said.splitlines()[-1]
        async with collector(server, tmp_path) as again:
            await until_stored(tmp_path, 51)
            again.terminate()
            assert (await ended(again))[0] == 0
    store = EmbeddedStore(tmp_path / "out", create=False)
    assert len(list(store.gaps())) == (0 if which else 1)
    store.close_now()
