"""Images of a layout pushed to a registry, whole or from where an upload was cut.

Each blob is asked for before it is sent. It is sent as Docker does it, which every registry takes: an upload is begun
(POST), gets the bytes (PATCH) and is ended with the digest (PUT). Where a connection is cut, the registry is asked how
far it came (GET), and the rest follows; where it does not say, the blob begins anew.

Source: the distribution specification, "Pushing blobs in chunks" and "Pushing manifests".
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import quote

import msgspec

from driver.errors import DriverError, UsageError, first_error
from driver.images.layout import Descriptor, Layout
from driver.registries.access import Answer, RegistryAccess, UnreachableError
from driver.registries.image_documents import MANIFEST_TYPES
from pullstudy.pulls.backoff import Backoff
from pullstudy.pulls.image import full_reference
from pullstudy.pulls.kubernetes_names import reference_fault
from pullstudy.pulls.printable import printable
from pullstudy.pulls.retry_after import retry_after_seconds

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")
_CHUNK = 1 << 20
_CONNECT_SECONDS = 30.0
_STALL_SECONDS = 300.0  # without a byte taken, or without an answer: a registry reads a large blob again before it
_AT_ONCE = 4
_TEMPORARY = (408, 429, 500, 502, 503, 504)
_MOST_FAILURES = 6  # in a row, without a byte more
_MOST_WAIT_SECONDS = 900.0
_BACKOFF = Backoff(first_seconds=1.0, most_seconds=60.0)


class PushError(DriverError):
    """An image did not come to its registry; what did is there, and is not sent again."""


class _TryAgainError(Exception):
    def __init__(self, why: str, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class PushProgress(Protocol):
    """Told while bytes go out."""

    def sent(self, size: int) -> None:
        """So many more are done, there already or sent; fewer, below 0, where an upload began anew."""

    def waits(self, why: str, seconds: float) -> None:
        """Nothing is sent for so long."""


class Waiting(msgspec.Struct, frozen=True):
    """What waits are made with."""

    sleep: Callable[[float], Awaitable[None]]
    random: Random


class PushedImage(msgspec.Struct, frozen=True):
    """As it is at the registry."""

    reference: str
    digest: str
    layers: int
    sent_bytes: int  # of layers and config
    there_bytes: int


def references(layout: Layout, target: str) -> dict[str, str]:
    """Of each image of the layout, in ``target``, HOST/REPOSITORY: a path in its name follows that.

    Raises UsageError.
    """
    found = {}
    for name in layout.images():
        path, _, tag = name.rpartition(":")
        reference = f"{target}/{path}:{tag}" if path else f"{target}:{tag}"
        if fault := reference_fault(reference):
            raise UsageError(f"{reference}: {fault}; give HOST/REPOSITORY without a tag")
        found[name] = reference
    return found


def bytes_of(layout: Layout, names: Sequence[str]) -> int:
    """Of all blobs that a push of these images sends where none of them is there. Raises UsageError."""
    manifests = [layout.manifest(layout.images()[name]) for name in names]
    return sum(each.size for manifest in manifests for each in (manifest.config, *manifest.layers))


async def push(
    layout: Layout,
    wanted: Mapping[str, str],
    environment: Mapping[str, str],
    waiting: Waiting,
    progress: PushProgress,
    *,
    plain_http: bool = False,
) -> AsyncIterator[PushedImage]:
    """Images by name, each to its reference, one after the other. Raises PushError, UsageError."""
    async with _session() as session:
        for name, reference in wanted.items():
            yield await _Push(session, layout, reference, environment, waiting, progress, plain_http).image(name)


def _session() -> "aiohttp.ClientSession":
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_STALL_SECONDS)
    # A jar of cookies would carry what one host gave to others of its domain.
    return aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)


class _Push:
    """Of one image."""

    def __init__(
        self,
        session: "aiohttp.ClientSession",
        layout: Layout,
        reference: str,
        environment: Mapping[str, str],
        waiting: Waiting,
        progress: PushProgress,
        plain_http: bool,
    ) -> None:
        self._layout = layout
        self._reference = reference
        self._waiting = waiting
        self._progress = progress
        name = full_reference(reference)
        self._tag = name.tag or "latest"
        self._access = RegistryAccess(
            session, name, environment, self._error, actions="pull,push", plain_http=plain_http
        )

    async def image(self, name: str) -> PushedImage:
        entry = self._layout.images()[name]
        manifest = self._layout.manifest(entry)
        blobs = list({each.digest: each for each in (manifest.config, *manifest.layers)}.values())
        sent = await self._blobs(blobs)
        await self._patiently(lambda: self._put_manifest(entry))
        total = sum(each.size for each in blobs)
        return PushedImage(self._reference, entry.digest, len(manifest.layers), sent, total - sent)

    async def _blobs(self, blobs: Sequence[Descriptor]) -> int:
        """How many bytes had to be sent."""
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def put(each: Descriptor) -> int:
            async with at_once:
                return await self._put_blob(each)

        # The first alone: its answer asks for the login that the others then have.
        first, *others = blobs
        sent = await put(first)
        with first_error():
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(put(each)) for each in others]
        return sent + sum(task.result() for task in tasks)

    async def _put_blob(self, each: Descriptor) -> int:
        if await self._patiently(lambda: self._is_there(each)):
            self._progress.sent(each.size)
            return 0
        if not self._layout.holds(each):
            raise self._error(f"{each.digest} is not whole in {self._layout.directory}", "build the image again")
        path = self._layout.blob(each.digest)
        upload = _Upload(self._access, path, each, self._progress, lambda: self._is_there(each))
        await self._patiently(upload.go_on, lambda: upload.confirmed)
        return each.size

    async def _is_there(self, each: Descriptor) -> bool:
        answer = await _sent(self._access, "HEAD", self._access.url(f"blobs/{each.digest}"))
        if answer.status == 404:
            return False
        self._access.check(answer)
        size, digest = answer.headers.get("Content-Length"), answer.headers.get("Docker-Content-Digest", each.digest)
        if size not in (None, str(each.size)) or digest != each.digest:
            raise self._error(f"{self._access.host} has {each.digest} with {size} bytes, and it has {each.size}")
        return True

    async def _put_manifest(self, entry: Descriptor) -> None:
        content = self._layout.blob(entry.digest).read_bytes()

        async def body() -> AsyncIterator[bytes]:
            yield content

        url = self._access.url(f"manifests/{self._tag}")
        headers = {"Content-Type": entry.media_type, "Content-Length": str(len(content))}
        _expect(await _sent(self._access, "PUT", url, headers, body), 201, "the manifest", self._error)
        there = await _sent(self._access, "HEAD", url, {"Accept": ", ".join(MANIFEST_TYPES)})
        self._access.check(there)
        if (digest := there.headers.get("Docker-Content-Digest", entry.digest)) != entry.digest:
            raise self._error(f"{self._access.host} says that it is {printable(digest[:100])} and not {entry.digest}")

    async def _patiently(self, attempt: Callable[[], Awaitable[T]], progress: Callable[[], int] = lambda: 0) -> T:
        """Again and again, as long as it is worth it: failures are counted anew where ``progress`` grew."""
        failures, reached = 0, 0
        while True:
            try:
                return await attempt()
            except _TryAgainError as error:
                failures = 1 if progress() > reached else failures + 1
                reached = max(reached, progress())
                if failures >= _MOST_FAILURES or (error.retry_after or 0) > _MOST_WAIT_SECONDS:
                    raise self._error(str(error), "push again later: what is there is not sent again") from error
                await self._wait(error, failures)

    async def _wait(self, error: _TryAgainError, failures: int) -> None:
        seconds = max(error.retry_after or 0.0, _BACKOFF.seconds(failures, self._waiting.random))
        self._progress.waits(str(error), seconds)
        await self._waiting.sleep(seconds)

    def _error(self, why: str, what_to_do: str = "") -> PushError:
        return PushError(f"push of {self._reference}: {why}{'; ' if what_to_do else ''}{what_to_do}")


async def _sent(
    access: RegistryAccess,
    method: str,
    url: str,
    headers: Mapping[str, str] | None = None,
    body: Callable[[], AsyncIterator[bytes]] | None = None,
) -> Answer:
    """Raises _TryAgainError where no answer came, or one that says so."""
    try:
        answer = await access.send(method, url, headers, body)
    except UnreachableError as error:
        cause = error.__cause__
        why = str(cause) or type(cause).__name__
        raise _TryAgainError(f"{access.host} was cut off at {method} ({printable(why[:200])})") from cause
    if answer.status in _TEMPORARY:
        asked = retry_after_seconds(answer.headers.get("Retry-After"), None)
        raise _TryAgainError(f"{access.host} answered {answer.status} to {method}", asked)
    return answer


class _Problem(msgspec.Struct):
    code: str = ""


class _Problems(msgspec.Struct):
    errors: list[_Problem] = []


def _expect(answer: Answer, status: int, what: str, complaint: Callable[[str, str], DriverError]) -> None:
    if answer.status == status:
        return
    try:
        codes = ", ".join(each.code for each in msgspec.json.decode(answer.body, type=_Problems).errors)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        codes = ""
    told = f"{answer.status}{' ' if codes else ''}{printable(codes[:100])}"
    todo = "docker login, and the right to push there" if answer.status in (401, 403) else ""
    if "DIGEST_INVALID" in codes:
        todo = "its file is damaged: delete it and build the image again"
    raise complaint(f"the registry refuses {what} ({told})", todo)


class _Upload:
    """Of one blob, over as many connections as it takes."""

    def __init__(
        self,
        access: RegistryAccess,
        path: Path,
        blob: Descriptor,
        progress: PushProgress,
        is_there: Callable[[], Awaitable[bool]],
    ) -> None:
        self._access = access
        self._path = path
        self._blob = blob
        self._progress = progress
        self._is_there = is_there
        self._location: str | None = None
        self._begun = False
        self._told = 0  # to the progress
        self.confirmed = 0  # bytes that the registry says it has

    async def go_on(self) -> None:
        """From where it is, to the end. Raises _TryAgainError."""
        if self._location is not None:
            await self._ask_how_far()
        if self._location is None:
            if self._begun and await self._is_there():  # it was the answer to its end that was lost
                return self._tell(self._blob.size - self._told)
            await self._begin()
        self._tell(self.confirmed - self._told)
        if self.confirmed < self._blob.size:
            await self._send_rest()
        await self._end()

    async def _begin(self) -> None:
        url = self._access.url("blobs/uploads/")
        answer = await _sent(self._access, "POST", url, {"Content-Length": "0"})
        self._expect(answer, 202)
        self._location = self._access.next_url(url, answer.headers.get("Location", ""))
        self._begun = True
        self.confirmed = 0

    async def _ask_how_far(self) -> None:
        """Where the registry does not know, or may mean nothing by its range of 0-0, the upload is forgotten."""
        assert self._location is not None  # go_on looked
        answer = await _sent(self._access, "GET", self._location)
        first, dash, last = answer.headers.get("Range", "").removeprefix("bytes=").partition("-")
        told = answer.status == 204 and dash and first == "0" and last.isdecimal()
        if not told or not 0 < int(last) < self._blob.size:
            self._location = None
            return
        self.confirmed = int(last) + 1
        self._move(answer)

    async def _send_rest(self) -> None:
        assert self._location is not None  # go_on began it
        begin, size = self.confirmed, self._blob.size
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size - begin)}
        if begin:
            headers["Content-Range"] = f"{begin}-{size - 1}"
        try:
            async with asyncio.timeout(_STALL_SECONDS) as limit:
                answer = await _sent(self._access, "PATCH", self._location, headers, lambda: self._bytes(begin, limit))
        except TimeoutError as error:
            raise _TryAgainError(f"{self._access.host} took no byte for {_STALL_SECONDS:.0f} s") from error
        if answer.status in (404, 416):
            self._location = None
            raise _TryAgainError(f"{self._access.host} no longer knows the upload ({answer.status})")
        self._expect(answer, 202)
        self.confirmed = size
        self._move(answer)

    async def _bytes(self, begin: int, limit: asyncio.Timeout) -> AsyncIterator[bytes]:
        self._tell(begin - self._told)  # a login that ran out makes it begin again
        with self._path.open("rb") as file:
            file.seek(begin)
            while chunk := file.read(_CHUNK):
                yield chunk
                self._tell(len(chunk))
                limit.reschedule(asyncio.get_running_loop().time() + _STALL_SECONDS)

    async def _end(self) -> None:
        assert self._location is not None  # go_on began it
        url = f"{self._location}{'&' if '?' in self._location else '?'}digest={quote(self._blob.digest, safe='')}"
        answer = await _sent(self._access, "PUT", url, {"Content-Length": "0"})
        if answer.status == 404:
            self._location = None
            raise _TryAgainError(f"{self._access.host} no longer knows the upload (404)")
        self._expect(answer, 201)
        if (digest := answer.headers.get("Docker-Content-Digest", self._blob.digest)) != self._blob.digest:
            raise self._access.complaint(f"{self._access.host} has {printable(digest[:100])} in its place", "")

    def _expect(self, answer: Answer, status: int) -> None:
        _expect(answer, status, self._blob.digest, self._access.complaint)

    def _move(self, answer: Answer) -> None:
        assert self._location is not None  # it is of a request to it
        self._location = self._access.next_url(self._location, answer.headers.get("Location", self._location))

    def _tell(self, size: int) -> None:
        self._told += size
        self._progress.sent(size)
