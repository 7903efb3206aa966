"""Files made to harm: an import stays under 256 MiB, says what is wrong in a line, and keeps what is good."""

import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from driver import cli
from driver.importing.log_file import lines_of
from pullstudy.pulls.eventlog import BarrenError, ReadingLimits, read_log
from pullstudy.pulls.record import PullRecord
from pullstudy.store.embedded.store import EmbeddedStore
from tests.hostile.logs import (
    MIB,
    Ended,
    bad_lines,
    event,
    events,
    gzip_of,
    one_list,
    piped,
    pretty_list,
    run_import,
)

MOST_MIB = 256
Attack = Callable[..., None]


def stored(directory: Path) -> list[PullRecord]:
    store = EmbeddedStore(directory / "study", create=False)
    try:
        return list(store.pulls())
    finally:
        store.close_now()


def rejects(directory: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (directory / "study" / "rejects.jsonl").read_text().splitlines()]


def held(ended: Ended) -> None:
    """In bounded memory and without a bug."""
    assert ended.peak_mib < MOST_MIB
    assert "a bug" not in ended.err
    assert "Traceback" not in ended.err


def test_a_packed_file_of_nothing_but_zeros_is_told_as_a_bomb(tmp_path: Path, attack: Attack) -> None:
    attack("import: gzip bomb of zeros", "expansion of 500 at most")
    bomb = gzip_of(tmp_path / "bomb.gz", bytes(16 * MIB), 2)
    ended = run_import(tmp_path, str(bomb))
    held(ended)
    assert ended.code == 1
    assert "unpack to over" in ended.err
    assert ended.err.count("\n") <= 3


def test_a_packed_file_of_nothing_but_empty_lines_is_too(tmp_path: Path, attack: Attack) -> None:
    attack("import: gzip bomb of empty lines", "expansion of 500 at most")
    bomb = gzip_of(tmp_path / "bomb.gz", b"\n" * 5 * MIB, 1)
    ended = run_import(tmp_path, str(bomb))
    held(ended)
    assert (ended.code, "unpack to over" in ended.err) == (1, True)


def test_a_line_of_a_gigabyte_is_passed_over_and_the_log_read_on(tmp_path: Path, attack: Attack) -> None:
    attack("import: a line of 1 GiB", "lines are held up to 1 MiB")
    log = tmp_path / "log"
    with log.open("wb") as file:
        file.write(event("before"))
        file.seek(1024 * MIB, os.SEEK_CUR)  # a hole: it reads as NULs and takes no disk
        file.write(b"\n" + event("after"))
    ended = run_import(tmp_path, str(log))
    held(ended)
    assert ended.code == 0
    assert f"{log}:2: no JSON object on this long line" in ended.err
    assert {record.event_uid for record in stored(tmp_path)} == {"before", "after"}


def test_a_line_without_an_end_is_given_up(attack: Attack) -> None:
    attack("import: /dev/zero as standard input", "2 GiB without anything in them end the reading")
    with Path("/dev/zero").open("rb") as zero, pytest.raises(BarrenError, match="line 1 goes on for 32 MiB"):
        list(read_log(lines_of(zero), ReadingLimits(barren_bytes=32 * MIB)))


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/urandom", "/dev/null", "directory", "socket"])
def test_what_is_no_file_is_refused_before_anything_is_made(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str], attack: Attack
) -> None:
    attack(f"import: {name} as a file", "only files and pipes are opened")
    import socket

    (tmp_path / "directory").mkdir()
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "socket"))
        out = tmp_path / "study"
        assert cli.run(["import", str(tmp_path / name), "--size", "4", "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "nothing was imported" in said
    assert not out.exists()


def test_a_pipe_is_read_once_and_to_its_end(tmp_path: Path, attack: Attack) -> None:
    attack("import: a named pipe, and a packed one", "pipes are opened once, and not sought in")
    packed = gzip_of(tmp_path / "log.gz", event("packed"), 1).read_bytes()
    with piped(tmp_path / "pipe", lambda: events(3)) as one, piped(tmp_path / "other", lambda: [packed]) as other:
        ended = run_import(tmp_path, str(one), str(other))
    held(ended)
    assert (ended.code, len(stored(tmp_path))) == (0, 4)


def test_a_pipe_that_nobody_writes_to_is_waited_for_aloud(tmp_path: Path, attack: Attack) -> None:
    attack("import: a named pipe without a writer", "said after a second; Ctrl-C ends it")
    os.mkfifo(tmp_path / "pipe")
    command = ["import", str(tmp_path / "pipe"), "--size", "4", "--out", str(tmp_path / "study")]
    # Where the tests run in the background, Ctrl-C is ignored by all that they start.
    program = "import signal; signal.signal(2, signal.default_int_handler); from driver.cli import main; main()"
    with subprocess.Popen([sys.executable, "-c", program, *command], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        process.send_signal(2)
        assert process.wait(20) == 130
        assert said == f"{tmp_path / 'pipe'}: a pipe that nobody writes to yet; waiting\n"
        assert "interrupted" in process.stderr.read()


def test_bad_lines_without_number_are_kept_up_to_a_limit_and_counted(tmp_path: Path, attack: Attack) -> None:
    attack("import: 20,000 bad lines (2,000,000 by bench/hostile_import.py)", "10,000 kept, the rest counted")
    with piped(tmp_path / "pipe", lambda: [event("good"), *bad_lines(20_000)]) as pipe:
        ended = run_import(tmp_path, str(pipe))
    held(ended)
    assert ended.code == 0
    assert f"{pipe}: 19990 more in rejects.jsonl, of which 10000 are only counted\n" in ended.err
    assert "rejected: 20000 (" in ended.err
    assert ended.err.count("\n") == 12
    kept = rejects(tmp_path)
    assert len(kept) == 10_001
    assert sum("10000 more of this file were counted and not kept" in each["problem"] for each in kept) == 1
    assert len(stored(tmp_path)) == 1


def test_long_bad_lines_do_not_fill_the_disk(tmp_path: Path, attack: Attack) -> None:
    attack("import: 100 bad lines of 900 KiB", "16 MiB of rejects a file, 64 KiB each")
    with piped(tmp_path / "pipe", lambda: bad_lines(100, 900 << 10)) as pipe:
        ended = run_import(tmp_path, str(pipe))
    held(ended)
    assert ended.code == 1
    assert sum(path.stat().st_size for path in (tmp_path / "study").iterdir()) < 100 * MIB
    assert "(cut: 921600 bytes in all)" in rejects(tmp_path)[0]["raw"] or "(cut: 921599" in rejects(tmp_path)[0]["raw"]


@pytest.mark.parametrize("form", [one_list, pretty_list])
def test_a_list_of_any_length_is_read_whole(
    tmp_path: Path, form: Callable[[int], Iterator[bytes]], attack: Attack
) -> None:
    attack(f"import: a long list ({form.__name__})", "items are read one by one")
    count = 12_000 if form is one_list else 8_000
    with piped(tmp_path / "pipe", lambda: form(count)) as pipe:
        ended = run_import(tmp_path, str(pipe))
    held(ended)
    assert ended.peak_mib < 130
    assert (ended.code, ended.err) == (0, "")
    assert f"{pipe}: {count} events, {count} pull, " in ended.out


def big_event(number: int) -> bytes:
    """An event of nothing but a message, 3 MiB of four bytes a character in memory."""
    return event(f"big-{number}", message='Back-off pulling image "a": \U0001f433' + "x" * (3 * MIB), reason="BackOff")


def test_events_of_megabytes_are_written_a_few_at_a_time(tmp_path: Path, attack: Attack) -> None:
    attack("import: 20 events of 3 MiB", "batches are bounded in bytes")
    with piped(tmp_path / "pipe", lambda: map(big_event, range(20))) as pipe:
        ended = run_import(tmp_path, str(pipe))
    held(ended)
    assert (ended.code, len(stored(tmp_path))) == (0, 20)


# Each is one object: too long, or small in the file and large in memory.
SWELLING: dict[str, Callable[[], bytes]] = {
    "labels": lambda: b'{"involvedObject":{"labels":{' + b",".join(b'"%x":""' % n for n in range(300_000)) + b"}}}",
    "owners": lambda: b'{"involvedObject":{"ownerReferences":[' + b",".join([b"{}"] * 1_300_000) + b"]}}",
    "nodes": lambda: b'{"kind":"Node","status":{"nodeInfo":{"a":[' + b",".join([b"[]"] * 1_300_000) + b"]}}}",
    "arrays": lambda: b"[" + b",".join([b"[]"] * 5_000_000) + b"]",
    "one string": lambda: b'{"kind":"' + b"x" * (60 * MIB) + b'"}',
    "brackets": lambda: b'{"items":[' + b"[{" * MIB,
    "layers": lambda: b'{"manifests":{"a":{"layers":[' + b",".join([b'{"digest":"","size":1}'] * 1_400_000) + b"]}}}",
    "manifests": lambda: b'{"manifests":{' + b",".join(b'"%x":{"layers":[]}' % n for n in range(390_000)) + b"}}",
}


@pytest.mark.parametrize(
    "names",
    [("labels", "owners", "nodes"), ("arrays", "one string", "brackets"), ("layers",), ("manifests",)],
)
def test_documents_that_swell_in_memory_are_bounded(tmp_path: Path, names: tuple[str, ...], attack: Attack) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        for name in names:
            attack(f"import: a document that swells: {name}", "objects to 4 MiB, documents to 32 MiB, 400,000 layers")
            file.write(SWELLING[name]() + b"\n")
        file.write(event("after"))
    ended = run_import(tmp_path, str(log))
    held(ended)
    assert ended.code == 0
    assert len(stored(tmp_path)) == 1


BAD_LINES = {
    "an integer of 5,000 digits": b'{"involvedObject":{},"count":' + b"9" * 5_000 + b"}",
    "one that is not read": b'{"a":' + b"9" * 5_000 + b"}",
    "1e999": b'{"involvedObject":{},"count":1e999}',
    "nesting of 100,000": b'{"involvedObject":' + b'{"a":' * 100_000,
    "closed nesting": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "nested lists": b"[{" + b'"a":[' * 100_000,
    "NULs": bytes(5_000),
    "NULs in a name": event("nul", involvedObject={"kind": "Pod", "name": "a\0b"}).strip(),
    "bad UTF-8": b'{"involvedObject":{"name":"\xff\xfe"},"reason":"Pulled"}',
    "a lone surrogate": b'{"involvedObject":{"name":"\\ud800"},"reason":"Pulled","metadata":{"uid":"\\udc00"}}',
    "another type": b'{"involvedObject":[],"reason":5}',
    "null": b'{"kind":"List","items":null}',
    "a list of numbers": b'{"kind":"EventList","items":[1,2,"involvedObject"]}',
    "a date without end": event("date", firstTimestamp="9" * 100_000).strip(),
    "the year 9999": event("year", firstTimestamp="9999-12-31T23:59:59-14:00").strip(),
    "a duration without end": event("d", message='Successfully pulled image "a" in ' + "9" * 50_000 + "s").strip(),
    "escapes": event("esc", reason="\x1b[2J\u2028<script>", type="\u202e").strip(),
    "a node of other types": b'{"kind":"Node","metadata":{"labels":{"a":1}}}',
    "manifests of other types": b'{"manifests":[]}',
    "manifests of 2^64": b'{"manifests":{"a":{"layers":[{"digest":"d","size":18446744073709551616}]}}}',
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_line_that_no_decoder_likes_stops_nothing(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str], attack: Attack
) -> None:
    attack(f"import: {name}", "a reject, or what it says")
    log = tmp_path / "log"
    log.write_bytes(event("before") + BAD_LINES[name] + b"\n" + event("after"))
    code = cli.run(["import", str(log), "--size", "4", "--out", str(tmp_path / "study")])
    said = capsys.readouterr()
    assert code == 0, said.err
    assert {"before", "after"} <= {record.event_uid for record in stored(tmp_path)}
    shown = said.out + said.err
    assert all(line.isprintable() for line in shown.removesuffix("\n").split("\n"))
    assert max(map(len, shown.split("\n"))) < 1_000


def members(path: Path, sizes: dict[str, int], end: bytes = b"") -> Path:
    """A tar, packed, whose members are zeros, with a log at its end."""
    with tarfile.open(path, "w:gz") as file:
        for name, size in sizes.items():
            info = tarfile.TarInfo(name)
            info.size = size
            file.addfile(info, io.BytesIO(bytes(size)))
        info = tarfile.TarInfo("log")
        info.size = len(end)
        file.addfile(info, io.BytesIO(end))
    return path


def test_a_bomb_in_a_zip_is_told(tmp_path: Path, attack: Attack) -> None:
    attack("import: zip bomb", "expansion of 500 at most, over all members")
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("log", event("before"))
        for number in range(4):
            file.writestr(f"bomb-{number}", bytes(8 * MIB))
    ended = run_import(tmp_path, "bomb.zip")
    held(ended)
    assert (ended.code, "unpack to over" in ended.err) == (1, True)
    assert {record.event_uid for record in stored(tmp_path)} == {"before"}


def test_a_name_of_gigabytes_in_a_tar_is_not_read(tmp_path: Path, attack: Attack) -> None:
    attack("import: a tar whose name has 8 GiB", "names are read to 1 MiB")
    header = tarfile.TarInfo("x")
    header.size, header.type = 8 << 30, tarfile.XHDTYPE
    (tmp_path / "a.tar").write_bytes(header.tobuf() + bytes(MIB))
    ended = run_import(tmp_path, "a.tar")
    held(ended)
    assert (ended.code, "a name of more than 1 MiB" in ended.err) == (1, True)


def test_a_core_dump_among_logs_is_passed_over(tmp_path: Path, attack: Attack) -> None:
    attack("import: a core dump and a member of zeros in a bundle", "a word by reason, no rejects")
    bundle = members(tmp_path / "a.tgz", {"core": MIB, "a/b": 2 * MIB}, event("after"))
    ended = run_import(tmp_path, str(bundle))
    held(ended)
    assert (ended.code, ended.err) == (0, "")
    assert {record.event_uid for record in stored(tmp_path)} == {"after"}


def test_messages_without_number_of_an_exporter_are_counted_in_bounded_memory(tmp_path: Path, attack: Attack) -> None:
    attack("import: 10,000 different messages of an exporter", "100 are counted apart")
    lines = (b'{"level":"warn","message":"%06d\\u001b[2J%s"}\n' % (n, b"x" * 600) for n in range(10_000))
    with piped(tmp_path / "pipe", lambda: lines) as pipe:
        ended = run_import(tmp_path, str(pipe))
    held(ended)
    assert ended.code == 0
    assert ended.out.count("\n") < 110
    assert "the exporter says 9900 times: (other messages)" in ended.out
    assert "\x1b" not in ended.out


def test_a_disk_that_is_full_leaves_no_half_of_a_rejects_file(tmp_path: Path, attack: Attack) -> None:
    attack("import: rejects where the file cannot be replaced", "written beside and renamed")
    log = tmp_path / "log"
    log.write_bytes(b"bad\n")
    (tmp_path / "study" / "rejects.jsonl").mkdir(parents=True)
    ended = run_import(tmp_path, str(log))
    assert (ended.code, "Traceback" in ended.err) == (1, False)
    assert [path.name for path in (tmp_path / "study").iterdir() if path.name.endswith(".part")] == []
