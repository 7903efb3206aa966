"""Bundles are walked: what logs they hold is read, and what they hold beside is told in a line."""

import contextlib
import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driver import cli
from driver.importing import archive
from driver.importing.archive import Part, PassedOver, parts_of
from driver.importing.byte_stream import UnreadableFileError
from pullstudy.store.embedded.store import EmbeddedStore
from tests.hostile.logs import event

Members = dict[str, bytes]
_LINKS = (tarfile.SYMTYPE, tarfile.LNKTYPE)


def tar(members: Members, form: int = tarfile.PAX_FORMAT) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as file:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return made.getvalue()


def zipped(members: Members, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return made.getvalue()


def parts(data: bytes) -> list[tuple[str, bytes]]:
    """What is read, with all its bytes."""
    found = parts_of(io.BytesIO(data))
    return [(part.name, part.stream.read(1 << 30)) for part in found if isinstance(part, Part)]


def refused(data: bytes) -> list[str]:
    return [part.why for part in parts_of(io.BytesIO(data)) if isinstance(part, PassedOver) and part.refused]


def imported(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, set[str], str]:
    """The exit code, the events' uids, and what was said."""
    out = path.parent / "study"
    code = cli.run(["import", str(path), "--size", "4", "--out", str(out)])
    store = EmbeddedStore(out, create=False)
    try:
        said = capsys.readouterr()
        return code, {pull.event_uid for pull in store.pulls()}, said.out + said.err
    finally:
        store.close_now()


names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=150)
contents = st.dictionaries(names, st.binary(min_size=1, max_size=2_000).map(lambda data: b"text " + data), max_size=5)


@settings(max_examples=50, deadline=None)
@given(contents, st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]), st.sampled_from(["", "gz", "bz2", "xz"]))
def test_each_member_of_a_tar_is_read_whole_whatever_its_name(members: Members, form: int, packed: str) -> None:
    import bz2
    import lzma

    pack = {"": bytes, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[packed]
    assert [data for _, data in parts(pack(tar({"first": b"text", **members}, form)))] == [
        b"text" if name == "first" else data for name, data in {"first": b"text", **members}.items()
    ]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=2_000).map(lambda data: b"text " + data), max_size=5))
def test_each_member_of_a_zip_is_read_whole(contents: list[bytes]) -> None:
    members = {f"a/{number}": data for number, data in enumerate(contents)}
    assert parts(zipped(members)) == list(members.items())


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([tar({"a" * 120: b"x" * 700, "b": b"text"}), zipped({"a": b"x" * 700, "b": b"text"})]),
    st.data(),
)
def test_a_damaged_archive_ends_in_a_word_and_nothing_else(good: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(good) - 1))
    damaged = good[:at] + data.draw(st.binary(max_size=30)) + good[at + data.draw(st.integers(0, 30)) :]
    with contextlib.suppress(UnreadableFileError):
        for part in parts_of(io.BytesIO(damaged)):
            if isinstance(part, Part):
                part.stream.read(1 << 20)


def test_packed_members_and_an_archive_in_an_archive_are_read_and_a_third_is_not() -> None:
    inner = tar({"log.gz": gzip.compress(b"deep")})
    outer = tar({"a.gz": gzip.compress(b"packed"), "inner.tar": inner, "b": b"plain"})
    assert parts(outer) == [("a.gz", b"packed"), ("inner.tar/log.gz", b"deep"), ("b", b"plain")]
    assert parts(zipped({"inner.tgz": gzip.compress(inner)})) == [("inner.tgz/log.gz", b"deep")]
    (why,) = refused(tar({"outer.tar": outer}))
    assert "2 levels" in why


def test_links_devices_and_directories_are_no_members_to_read() -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as file:
        for kind in (*_LINKS, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
            info = tarfile.TarInfo("../../etc/passwd")
            info.type, info.linkname, info.size = kind, "/etc/passwd", 0
            file.addfile(info)
        info = tarfile.TarInfo("../../tmp/log")
        info.size = 4
        file.addfile(info, io.BytesIO(b"text"))
    assert parts(made.getvalue()) == [("../../tmp/log", b"text")]


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"7z\xbc\xaf\x27\x1c\0\4", "a 7z archive"),
        (b"Rar!\x1a\x07\0", "a rar archive"),
        (b"\x28\xb5\x2f\xfd\0", "zstd"),
        (b"\x8c\x0d\x04\x09\x03\x02", "decrypt it"),
        (b"-----BEGIN PGP MESSAGE-----\n", "decrypt it"),
        (zipped({"a": b"text"})[:-30], "cut off or damaged"),
        (gzip.compress(zipped({"a": b"text"})), "its directory is at its end"),
        (tar({"a.zip": zipped({"a": b"text"})}), "a zip archive in another one"),
        (zipped({"a": b"text"}, zipfile.ZIP_LZMA), "another method"),
    ],
    ids=["7z", "rar", "zstd", "gpg", "armour", "cut", "packed zip", "zip in tar", "lzma"],
)
def test_what_is_not_read_is_one_reject_that_says_what_to_do(data: bytes, word: str) -> None:
    (why,) = refused(data)
    assert word in why


def test_encrypted_members_are_one_reject(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray(zipped({"a": b"text", "b": b"text", "c": event("plain")}))
    for name in (b"a", b"b"):  # bit 0 of the flags, in each header and in the directory
        data[data.index(b"PK\x03\x04\x14\0\0\0", 0 if name == b"a" else 1) + 6] |= 1
    for number, at in enumerate([at for at in range(len(data)) if data[at : at + 4] == b"PK\x01\x02"]):
        data[at + 8] |= number < 2
    (tmp_path / "a.zip").write_bytes(data)
    code, uids, said = imported(tmp_path / "a.zip", capsys)
    assert (code, uids) == (0, {"plain"})
    assert "2 members of a zip archive are encrypted: unpack it with its password" in said
    assert "rejected: 1 (" in said


def test_a_bundle_with_much_that_is_no_log_is_a_few_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise = {f"ns/{number}/pod.log": b"listening\n" * 50 for number in range(40)}
    core = {"core.1": b"\x7fELF" + bytes(5_000), "a.png": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 100}
    lost = b'{"reason":"Pulled","involvedObject":{"kind":"Pod"},"metadata":{"name":"a"}}\n'
    members = {**noise, **core, "events.log": b"a line\n" + event("one"), "no-uid.json": lost}
    (tmp_path / "bundle.tgz").write_bytes(gzip.compress(tar(members)))
    code, uids, said = imported(tmp_path / "bundle.tgz", capsys)
    assert (code, uids) == (0, {"one"})
    assert "an archive of which 44 members were read" in said
    assert "40 of them hold no events, nodes, pods or manifests: no JSON object on this line" in said
    assert f"{tmp_path}/bundle.tgz/events.log:1: no JSON object on this line" in said
    assert f"{tmp_path}/bundle.tgz/no-uid.json:1: an event without a uid" in said
    assert "rejected: 2 (" in said
    assert said.count("\n") < 12


def test_a_bundle_without_a_log_is_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bundle.tar").write_bytes(tar({"readme": b"nothing\n"}))
    code, uids, said = imported(tmp_path / "bundle.tar", capsys)
    assert (code, uids) == (1, set())
    assert "nothing in it was understood" in said


def test_an_archive_that_is_cut_off_keeps_what_came_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tar({"a.log": event("a"), "b.log": os.urandom(3_000).hex().encode() + b"\n" + event("b")})
    (tmp_path / "cut.tar").write_bytes(data[:4_000])
    code, uids, said = imported(tmp_path / "cut.tar", capsys)
    assert (code, uids) == (1, {"a"})
    assert "ends in the middle of a member" in said


def test_names_of_members_reach_no_terminal_and_no_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "../../../\x1b[2J\u202e\nx.log"
    (tmp_path / "a.tar").write_bytes(tar({name: event("one") + b"bad\n"}))
    code, uids, said = imported(tmp_path / "a.tar", capsys)
    assert (code, uids) == (0, {"one"})
    assert all(line.isprintable() for line in said.splitlines())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "study"]


def test_more_members_than_any_bundle_has_end_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_MEMBERS", 100)
    with pytest.raises(UnreadableFileError, match="more than 100 members"):
        parts(tar({str(number): b"" for number in range(200)}))


def test_a_damaged_member_costs_no_other_and_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = gzip.compress(b"2024-11-11 a log that goes on" * 50)[:-20]
    members = {"a/events.json": event("a"), "b/current.log.gz": packed, "c/events.json": event("c")}
    (tmp_path / "bundle.tar").write_bytes(tar(members))
    code, uids, said = imported(tmp_path / "bundle.tar", capsys)
    assert (code, len(uids)) == (1, 2)
    assert "b/current.log.gz" in said


def test_a_damaged_archive_in_an_archive_costs_no_other_member() -> None:
    inner = tar({"log": b"x" * 5000})[:2000]
    assert [name for name, _ in _whole_parts(tar({"inner.tar": inner, "b": b"plain"}))] == ["b"]


def test_archives_put_together_are_read_to_the_end() -> None:
    assert parts(tar({"a": b"first"}) + tar({"b": b"second"})) == [("a", b"first"), ("b", b"second")]


def _whole_parts(data: bytes) -> list[tuple[str, bytes]]:
    found = []
    for part in parts_of(io.BytesIO(data)):
        if isinstance(part, Part):
            with contextlib.suppress(UnreadableFileError):
                found.append((part.name, part.stream.read(1 << 20)))
    return [each for each in found if each[0] != "inner.tar/log"]
