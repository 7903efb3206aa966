"""Images' manifests and sizes from their registries. What is asked for by its digest has to have it."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from driver.errors import DriverError, first_error
from driver.planning.manifest_files import size_of_layers
from driver.registries.access import ANSWER_SECONDS, RegistryAccess
from driver.registries.image_documents import DIGEST, INDEX_TYPES, MANIFEST_TYPES
from pullstudy.analysis.reading.manifests import PLATFORM, Manifest
from pullstudy.pulls.image import FullReference, full_reference
from pullstudy.pulls.image_size import ImageSize, SizeSource

if TYPE_CHECKING:
    import aiohttp

_AT_ONCE = 4
_ACCEPTED = ", ".join((*INDEX_TYPES, *MANIFEST_TYPES))


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
        self._image = image
        self._instead = instead
        self._name: FullReference = full_reference(image)
        self._access = RegistryAccess(session, self._name, environment, self._error)

    async def size(self) -> ImageSize:
        try:
            return size_of_layers(self._image, (await self.manifest()).layers, SizeSource.REGISTRY)
        except ValueError as error:
            raise self._error(f"{self._access.host} answered {error}") from error

    async def manifest(self) -> Manifest:
        """Of the image, or of the one for PLATFORM where there are several."""
        body = await self._manifest(self._name.digest or self._name.tag or "latest")
        document = self._access.decoded(body, _Document)
        if document.manifests is not None:
            body = await self._manifest(self._of_platform(document.manifests))
        manifest: Manifest = self._access.decoded(body, Manifest)
        return manifest

    def _of_platform(self, entries: list[_Entry]) -> str:
        for entry in entries:
            if (entry.platform.os, entry.platform.architecture) == PLATFORM:
                if not DIGEST.fullmatch(entry.digest):
                    raise self._error(f"the index of {self._access.host} names no sha256 digest")
                return entry.digest
        there = sorted({f"{entry.platform.os}/{entry.platform.architecture}" for entry in entries})
        raise self._error(f"it is not there for {'/'.join(PLATFORM)}, but for {', '.join(there)[:200] or 'nothing'}")

    async def _manifest(self, reference: str) -> bytes:
        answer = await self._access.get(self._access.url(f"manifests/{reference}"), {"Accept": _ACCEPTED})
        self._access.check(answer)
        expected = reference if DIGEST.fullmatch(reference) else answer.headers.get("Docker-Content-Digest", "")
        if DIGEST.fullmatch(expected) and expected != f"sha256:{hashlib.sha256(answer.body).hexdigest()}":
            raise self._error(f"what {self._access.host} answered has not the digest {expected}")
        return answer.body

    def _error(self, why: str, what_to_do: str = "") -> RegistryError:
        return RegistryError(self._image, why, what_to_do, self._instead)
