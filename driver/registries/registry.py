"""Images' sizes from their registries, by the distribution API (https://distribution.github.io/distribution/spec/api).

What an answer may be is bounded, and what is asked for by its digest has to have it. Credentials go to the registry's
own host and to where it has its tokens made, and to no host that one of them redirects to.
"""

import asyncio
import base64
import hashlib
import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import msgspec

from driver.errors import DriverError, first_error
from driver.planning.manifest_files import size_of_layers
from driver.registries.credentials import basic_credentials
from pullstudy.analysis.reading.manifests import PLATFORM, Manifest
from pullstudy.pulls.image import FullReference, full_reference
from pullstudy.pulls.image_size import ImageSize, SizeSource

if TYPE_CHECKING:
    import aiohttp

ANSWER_SECONDS = 30.0
MOST_BYTES = 4 << 20  # registries refuse manifests that are larger
_MOST_OBJECTS = 20_000
_MOST_REDIRECTS = 3
_AT_ONCE = 4
_HUB = "registry-1.docker.io"  # where docker.io has its API
_ACCEPTED = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class RegistryError(DriverError):
    """A registry did not tell of an image. ``str()`` is one line that says what to do."""

    def __init__(self, image: str, why: str, *what_to_do: str) -> None:
        told = ", ".join(each for each in what_to_do if each)
        super().__init__(f"image {image}: {why}{'; ' if told else ''}{told}")


class _Platform(msgspec.Struct):
    os: str = ""
    architecture: str = ""


class _Entry(msgspec.Struct):
    digest: str
    platform: _Platform = msgspec.field(default_factory=_Platform)


class _Document(msgspec.Struct):
    """An index; a manifest has no such key."""

    manifests: list[_Entry] | None = None


class _Token(msgspec.Struct):
    token: str = ""
    access_token: str = ""


class _Answer(msgspec.Struct):
    status: int
    headers: Mapping[str, str]
    body: bytes


async def sizes_from_registries(images: Sequence[str], environment: Mapping[str, str]) -> dict[str, ImageSize]:
    """Of each of the images, for linux/amd64. Raises RegistryError, UsageError."""
    at_once = asyncio.Semaphore(_AT_ONCE)
    async with _session() as session:

        async def size_of(image: str) -> ImageSize:
            async with at_once:
                return await _Asked(session, image, environment).size()

        with first_error():
            async with asyncio.TaskGroup() as group:
                asked = {image: group.create_task(size_of(image)) for image in images}
    return {image: task.result() for image, task in asked.items()}


async def manifest_from_registry(image: str, environment: Mapping[str, str]) -> Manifest:
    """Of one image, for linux/amd64. Raises RegistryError, UsageError."""
    async with _session() as session:
        return await _Asked(session, image, environment, instead="").manifest()


def _session() -> "aiohttp.ClientSession":
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    # A jar of cookies would carry what one host gave to others of its domain.
    return aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)


class _Asked:
    """One image at its registry."""

    def __init__(
        self,
        session: "aiohttp.ClientSession",
        image: str,
        environment: Mapping[str, str],
        *,
        instead: str = "or state its size in [images.sizes] of study.toml",
    ) -> None:
        self._session = session
        self._instead = instead
        self._image = image
        self._name: FullReference = full_reference(image)
        self._host = _HUB if self._name.host == "docker.io" else self._name.host
        self._basic = basic_credentials(self._name.host, environment)
        self._authorization: str | None = None

    async def size(self) -> ImageSize:
        try:
            return size_of_layers(self._image, (await self.manifest()).layers, SizeSource.REGISTRY)
        except ValueError as error:
            raise self._error(f"{self._host} answered {error}") from error

    async def manifest(self) -> Manifest:
        """Of the image, or of the one for PLATFORM where there are several."""
        body = await self._manifest(self._name.digest or self._name.tag or "latest")
        document = self._decoded(body, _Document)
        if document.manifests is not None:
            body = await self._manifest(self._of_platform(document.manifests))
        manifest: Manifest = self._decoded(body, Manifest)
        return manifest

    def _of_platform(self, entries: list[_Entry]) -> str:
        for entry in entries:
            if (entry.platform.os, entry.platform.architecture) == PLATFORM:
                if not _DIGEST.fullmatch(entry.digest):
                    raise self._error(f"the index of {self._host} names no sha256 digest")
                return entry.digest
        there = sorted({f"{entry.platform.os}/{entry.platform.architecture}" for entry in entries})
        raise self._error(f"it is not there for {'/'.join(PLATFORM)}, but for {', '.join(there)[:200] or 'nothing'}")

    async def _manifest(self, reference: str) -> bytes:
        scheme = "http" if _is_loopback(self._host) else "https"
        url = f"{scheme}://{self._host}/v2/{self._name.repository}/manifests/{reference}"
        answer = await self._get(url, self._authorization)
        if answer.status == 401 and self._authorization is None:
            self._authorization = await self._authorize(answer.headers.get("WWW-Authenticate", ""))
            answer = await self._get(url, self._authorization)
        self._check(answer)
        expected = reference if _DIGEST.fullmatch(reference) else answer.headers.get("Docker-Content-Digest", "")
        if _DIGEST.fullmatch(expected) and expected != f"sha256:{hashlib.sha256(answer.body).hexdigest()}":
            raise self._error(f"what {self._host} answered has not the digest {expected}")
        return answer.body

    def _check(self, answer: _Answer) -> None:
        if answer.status == 200:
            return
        if answer.status in (401, 403):
            raise self._error(f"{self._host} refuses it ({answer.status})", f"docker login {self._name.host}")
        if answer.status == 404:
            raise self._error(f"{self._host} has no such image (404)", "check its name")
        if answer.status == 429:
            raise self._error(f"{self._host} is asked too often (429)", f"wait, or docker login {self._name.host}")
        raise self._error(f"{self._host} answered {answer.status}", "try again later")

    async def _authorize(self, challenge: str) -> str:
        """The header for the next request, by what the registry asks for."""
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic" and self._basic is not None:
            return self._basic
        asked = dict(_PARAMETER.findall(rest))
        if scheme.lower() != "bearer" or "realm" not in asked:
            raise self._error(f"{self._host} asks for a login", f"docker login {self._name.host}")
        self._check_url(asked["realm"])
        query = {"scope": f"repository:{self._name.repository}:pull"}
        if "service" in asked:
            query["service"] = asked["service"]
        answer = await self._get(asked["realm"], self._basic, query)
        self._check(answer)
        token = self._decoded(answer.body, _Token)
        return f"Bearer {_printable_token(token.token or token.access_token)}"

    async def _get(self, url: str, authorization: str | None, query: Mapping[str, str] | None = None) -> _Answer:
        host = urlsplit(url).netloc
        for _ in range(_MOST_REDIRECTS + 1):
            headers = {"Accept": _ACCEPTED, "Accept-Encoding": "identity"}
            if authorization is not None:
                headers["Authorization"] = authorization
            answer = await self._answer(url, headers, query)
            if answer.status not in (301, 302, 303, 307, 308):
                return answer
            url, query = self._next_url(url, answer.headers.get("Location", "")), None
            self._check_url(url)
            authorization = authorization if urlsplit(url).netloc == host else None
        raise self._error(f"{host} redirects more than {_MOST_REDIRECTS} times")

    async def _answer(self, url: str, headers: dict[str, str], query: Mapping[str, str] | None) -> _Answer:
        import aiohttp

        try:
            proxy = _proxy_of(url)
            async with self._session.get(
                url, headers=headers, params=query, allow_redirects=False, proxy=proxy.url, proxy_headers=proxy.headers
            ) as response:
                body = await response.content.read(MOST_BYTES + 1) if response.status == 200 else b""
                while body and len(body) <= MOST_BYTES and (more := await response.content.read(MOST_BYTES)):
                    body += more
                if len(body) > MOST_BYTES:
                    raise self._error(f"{urlsplit(url).netloc} answered with more than {MOST_BYTES >> 20} MiB")
                return _Answer(response.status, response.headers, body)
        except TimeoutError as error:
            host = urlsplit(url).netloc
            raise self._error(f"{host} did not answer within {ANSWER_SECONDS:.0f} s", "try again") from error
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise self._error(f"{urlsplit(url).netloc} cannot be asked: {error}", "check its name") from error

    def _next_url(self, url: str, location: str = "") -> str:
        try:
            urlsplit(url)
            return urljoin(url, location)
        except ValueError as error:
            raise self._error(f"{self._host} leads to an address that is none ({error})") from error

    def _check_url(self, url: str) -> None:
        """Only a registry of this machine may lead on without TLS, and only to this machine."""
        parts = urlsplit(self._next_url(url))
        plain = parts.scheme == "http" and _is_loopback(self._host) and _is_loopback(parts.netloc)
        if parts.scheme != "https" and not plain:
            raise self._error(f"{self._host} leads to {parts.scheme or 'no'}://{parts.netloc}, which is not https")

    def _decoded(self, body: bytes, kind: Any) -> Any:
        if body.count(b"{") > _MOST_OBJECTS:
            raise self._error(f"{self._host} answered with more than {_MOST_OBJECTS:,} objects")
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise self._error(f"{self._host} answered no image manifest ({error})") from error

    def _error(self, why: str, what_to_do: str = "") -> RegistryError:
        return RegistryError(self._image, why, what_to_do, self._instead)


def _printable_token(text: str) -> str:
    """What may stand in a header."""
    return "".join(letter for letter in text if "!" <= letter <= "~")


def _is_loopback(netloc: str) -> bool:
    host = urlsplit(f"//{netloc}").hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Proxy(NamedTuple):
    """Where to go through, with its login apart: an address stands in errors."""

    url: str | None = None
    headers: dict[str, str] | None = None


def _proxy_of(url: str) -> _Proxy:
    """By the environment. Not aiohttp's own way, which would send logins from ~/.netrc too. Raises ValueError."""
    parts = urlsplit(url)
    told = getproxies().get(parts.scheme)
    if not told or _is_loopback(parts.netloc) or proxy_bypass(parts.hostname or ""):
        return _Proxy()
    proxy = urlsplit(told if "://" in told else f"http://{told}")
    login, _, address = proxy.netloc.rpartition("@")
    if not login:
        return _Proxy(proxy.geturl())
    encoded = base64.b64encode(unquote(login).encode()).decode()
    return _Proxy(proxy._replace(netloc=address).geturl(), {"Proxy-Authorization": f"Basic {encoded}"})
