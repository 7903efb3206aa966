"""What there is to read in a file: the file itself, or, of a tar or zip archive, its members one after the other.

Nothing is written to disk: what a member is called is only shown. Read are regular members, packed ones and archives in
archives too, to MOST_DEPTH. A tar is read from its front, as a pipe brings it; a zip has its directory at its end, so
that only a file can be one. Sources: POSIX pax, GNU tar's manual; PKWARE's APPNOTE.
"""

import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO

import msgspec

from driver.importing.byte_stream import ByteStream, ExpansionBound, UnreadableFileError, bounded, unpacked

MOST_DEPTH = 2  # of archives in archives
MOST_MEMBERS = 200_000  # must-gather has some ten thousand
_BLOCK = tarfile.BLOCKSIZE
_MOST_NAME_BYTES = 1 << 20  # of one record of names and attributes
_MOST_DIRECTORY_BYTES = 6 << 20  # of a zip: some 50,000 members, 130,000 of short names
_LONGEST_NAME = 300
_LONG_NAMES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_NOT_READ = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a rar archive",
    b"\x28\xb5\x2f\xfd": "packed by zstd",
    b"\x04\x22\x4d\x18": "packed by lz4",
}
_ENCRYPTED = (
    b"\x8c\x0d\x04",
    b"\x85\x01\x0c",
    b"\x85\x02\x0c",
    b"\x85\x04\x0c",
    b"-----BEGIN PGP MESSAGE",
    b"Salted__",
)
_LONGEST_MAGIC = 32
_MAGIC_AT = 257  # of a tar
_DAMAGED_ZIP = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, zlib.error)


class Part(msgspec.Struct, frozen=True):
    """Something to read. ``name`` is empty where it is the file itself."""

    name: str
    stream: ByteStream


class PassedOver(msgspec.Struct, frozen=True):
    """A member, or all of the archive, that is not read. ``refused``: there may have been events in it."""

    name: str
    why: str
    refused: bool = False


class _Archive:
    """How much of one file has been seen."""

    def __init__(self) -> None:
        self._members = 0

    def count(self) -> None:
        self._members += 1
        if self._members > MOST_MEMBERS:
            raise UnreadableFileError(f"an archive of more than {MOST_MEMBERS:,} members: unpack it and give its logs")


def parts_of(file: BinaryIO) -> Iterator[Part | PassedOver]:
    """In the order of the archive; each is read before the next is asked for. Raises UnreadableFileError."""
    yield from _parts("", ByteStream(_as_source(file)), file, 0, _Archive())


def _as_source(file: IO[bytes]) -> io.BufferedReader:
    return file  # type: ignore[return-value]


def _parts(
    name: str, stream: ByteStream, file: BinaryIO | None, depth: int, archive: _Archive
) -> Iterator[Part | PassedOver]:
    """``file`` where the stream is all of one that can be sought in."""
    inner = unpacked(stream)
    head = inner.peek(_BLOCK)
    if head.startswith(_ZIP):
        sought = file if inner is stream and file is not None and file.seekable() else None
        yield from _members_of_zip(name, sought, depth, archive)
    elif head[_MAGIC_AT:].startswith(b"ustar"):
        yield from _members_of_tar(name, inner, depth, archive)
    elif why := _why_not_read(head[:_LONGEST_MAGIC]):
        yield PassedOver(name, why, refused=True)
    else:
        yield Part(name, inner)


def _why_not_read(head: bytes) -> str | None:
    if head.startswith(_ENCRYPTED):
        return "encrypted: decrypt it and give what is in it"
    what = next((what for magic, what in _NOT_READ.items() if head.startswith(magic)), None)
    return f"{what}, which is not read: unpack it and give the logs in it, or pack it as tar.gz" if what else None


def _below(outer: str, name: str) -> str:
    return f"{outer}/{name}"[-_LONGEST_NAME:] if outer else name[-_LONGEST_NAME:]


# -- tar ---------------------------------------------------------------------------------------------------------------


class _Member(msgspec.Struct):
    name: str
    size: int
    regular: bool
    sparse: bool


def _members_of_tar(outer: str, tar: ByteStream, depth: int, archive: _Archive) -> Iterator[Part | PassedOver]:
    if depth >= MOST_DEPTH:
        yield PassedOver(outer, _too_deep(), refused=True)
        return
    while (member := _next_member(tar, archive)) is not None:
        content = _Content(tar, member.size)
        name = _below(outer, member.name)
        if member.sparse:
            yield PassedOver(name, "a file with holes: a disk's image or a core dump")
        elif member.regular and member.size:
            try:
                yield from _parts(name, ByteStream(content), None, depth + 1, archive)
            except UnreadableFileError as error:  # an archive in this one
                yield PassedOver(name, str(error), refused=True)
        content.pass_over()


def _too_deep() -> str:
    return f"archives in archives are read to {MOST_DEPTH} levels: unpack it and give the logs in it"


class _Content:
    """The bytes of a member."""

    def __init__(self, tar: ByteStream, size: int) -> None:
        self._tar = tar
        self._left = size
        self._padding = -size % _BLOCK

    def read1(self, size: int) -> bytes:
        """Raises UnreadableFileError."""
        block = self._tar.read1(min(size, self._left)) if self._left else b""
        if self._left and not block:
            raise UnreadableFileError("the archive ends in the middle of a member")
        self._left -= len(block)
        return block

    def pass_over(self) -> None:
        """Raises UnreadableFileError."""
        if not self._tar.skip(self._left + self._padding):
            raise UnreadableFileError("the archive ends in the middle of a member")
        self._left = self._padding = 0


def _next_member(tar: ByteStream, archive: _Archive) -> _Member | None:
    """None at the end. Raises UnreadableFileError."""
    told: dict[str, str] = {}
    while True:
        block = tar.read(_BLOCK)
        while block and not block.strip(b"\0"):  # archives put together: each ends in blocks of zeros
            block = tar.read(_BLOCK)
        if not block:
            return None
        archive.count()
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "replace")
            size = int(told.pop("size", header.size))
        except (tarfile.HeaderError, ValueError) as error:
            raise UnreadableFileError(f"the archive is damaged: {str(error)[:_LONGEST_NAME]}") from error
        if size < 0:
            raise UnreadableFileError("the archive is damaged: a member of negative size")
        if header.type in _LONG_NAMES:
            told |= _told(tar, header.type, size)
        elif header.type == tarfile.XGLTYPE:
            _Content(tar, size).pass_over()
        else:
            return _member(tar, block, header, size, told)


def _told(tar: ByteStream, kind: bytes, size: int) -> dict[str, str]:
    """What a record of names and attributes says of the member behind it."""
    if size > _MOST_NAME_BYTES:
        raise UnreadableFileError(f"the archive is damaged: a name of more than {_MOST_NAME_BYTES >> 20} MiB")
    text = tar.read(size + -size % _BLOCK)[:size]
    if kind == tarfile.GNUTYPE_LONGLINK:
        return {}
    if kind == tarfile.GNUTYPE_LONGNAME:
        return {"path": text.rstrip(b"\0").decode(errors="replace")}
    return _attributes(text)


def _attributes(text: bytes) -> dict[str, str]:
    """Of pax: records ``LENGTH KEY=VALUE`` with a line's end."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        length, _, _ = text[at : at + 20].partition(b" ")
        if not length.isdigit() or not int(length):
            break
        key, _, value = text[at + len(length) + 1 : at + int(length) - 1].partition(b"=")
        if key in (b"path", b"size") or key.startswith(b"GNU.sparse."):
            found[key.decode(errors="replace")] = value.decode(errors="replace")
        at += int(length)
    return found


def _member(tar: ByteStream, block: bytes, header: tarfile.TarInfo, size: int, told: dict[str, str]) -> _Member:
    sparse = header.type == tarfile.GNUTYPE_SPARSE
    goes_on = sparse and block[482]
    while goes_on:  # where its holes are
        goes_on = tar.read(_BLOCK).ljust(_BLOCK, b"\0")[504]
    holds_bytes = header.isreg() or header.type not in tarfile.SUPPORTED_TYPES
    regular = header.type in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
    named = told.get("path", header.name)
    return _Member(named, size if holds_bytes else 0, regular, sparse or any("sparse" in key for key in told))


# -- zip ---------------------------------------------------------------------------------------------------------------


class _TooManyMembersError(Exception):
    """A zip whose directory would take too much memory."""


class _WithDirectory:
    """A zip's file, of whose directory no more is taken than fits."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if size > _MOST_DIRECTORY_BYTES:
            raise _TooManyMembersError
        return self._file.read(size if size >= 0 else _MOST_DIRECTORY_BYTES)

    def seekable(self) -> bool:
        return True


def _members_of_zip(outer: str, file: BinaryIO | None, depth: int, archive: _Archive) -> Iterator[Part | PassedOver]:
    if file is None:
        what = "a zip archive in another one" if outer else "a zip archive that comes by a pipe or is packed once more"
        yield PassedOver(outer, f"{what} cannot be read, its directory is at its end: give it as a file", refused=True)
        return
    bound = ExpansionBound(file.seek(0, io.SEEK_END))
    try:
        opened = zipfile.ZipFile(_WithDirectory(file))
    except _TooManyMembersError:
        yield PassedOver("", "a zip archive of too many members: unpack it and give the logs in it", refused=True)
        return
    except _DAMAGED_ZIP as error:
        yield PassedOver("", f"a zip archive that is cut off or damaged ({error}): get it again", refused=True)
        return
    with opened:
        yield from _members_of_directory(opened, bound, depth, archive)


def _members_of_directory(
    opened: zipfile.ZipFile, bound: ExpansionBound, depth: int, archive: _Archive
) -> Iterator[Part | PassedOver]:
    encrypted = 0
    for info in opened.infolist():
        archive.count()
        name = info.filename[-_LONGEST_NAME:]
        if info.is_dir() or not info.file_size:
            continue
        if info.flag_bits & 1:
            encrypted += 1
        elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            yield PassedOver(name, "packed by another method than deflate: unpack it and give the logs", refused=True)
        else:
            yield from _member_of_zip(opened, info, name, bound, depth, archive)
    if encrypted:
        why = f"{encrypted} members of a zip archive are encrypted: unpack it with its password and give the logs in it"
        yield PassedOver("", why, refused=True)


def _member_of_zip(
    opened: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, bound: ExpansionBound, depth: int, archive: _Archive
) -> Iterator[Part | PassedOver]:
    try:
        member = opened.open(info)
    except _DAMAGED_ZIP as error:
        yield PassedOver(name, f"a damaged member of a zip archive ({error}): get the archive again", refused=True)
        return
    with member:
        yield from _parts(name, bounded(_as_source(member), bound), None, depth + 1, archive)
