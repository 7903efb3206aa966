"""Cold pulls of images on one node, in turn, each with what it took and what the runtime used."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from driver.errors import DriverError
from driver.profiling.cri import Cri
from driver.profiling.span_intake import SpanIntake
from driver.profiling.usage import Usage, usage_of
from driver.profiling.zstd_trial import SAMPLE_BYTES
from driver.registries.credentials import basic_credentials
from pullstudy.pulls.image import full_reference
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.pulled_layer import PulledLayer

SPAN_SECONDS = 12.0
"""How long spans may come after the pull: an exporter gathers them for 5 s (OTEL_BSP_SCHEDULE_DELAY)."""
_LOOK_SECONDS = 0.1
_CLOCK_SECONDS = 0.01  # a span's clock has nanoseconds, ours may be coarser


class HeldImageError(DriverError):
    """An image is there already, and it was not said that it may be removed."""

    exit_code = 2


class ProfiledPull(msgspec.Struct, frozen=True):
    """One cold pull."""

    started_at: datetime
    seconds: float  # as the client of CRI saw it
    used: Usage | None  # by the runtime; None where its process is not known
    stages: PullStages | None  # None where no spans came
    layers: tuple[PulledLayer, ...] = ()


class Profiler:
    """Of one runtime. ``process`` is its own, None where it is not known.

    ``samples``: of each image that spans told of the beginning of its largest gzip layer, where it has one.
    """

    def __init__(
        self,
        cri: Cri,
        process: int | None,
        intake: SpanIntake,
        environment: Mapping[str, str],
        sleep: Callable[[float], Awaitable[None]],
        say: Callable[[str], None],
    ) -> None:
        self._cri = cri
        self._process = process
        self._intake = intake
        self._environment = environment
        self._sleep = sleep
        self._say = say
        self.samples: dict[str, bytes] = {}

    async def profile(
        self, images: Sequence[str], repeats: int, *, remove_held: bool = False
    ) -> dict[str, list[ProfiledPull]]:
        """Of each image so many pulls, in turn. An image that was not there is gone afterwards; one that was is back.

        Raises HeldImageError before anything is pulled, RuntimeRefusedError, UnknownUsageError, UsageError.
        """
        before = await self._cri.names_by_id()
        held = [image for image in images if await self._cri.held_as(image) is not None]
        if held and not remove_held:
            raise HeldImageError(
                f"{held[0]} is on this node already, and a cold pull needs it gone: --remove-held removes it, with all "
                "of its names, and leaves it there under this one; or take a node without it"
            )
        pulls: dict[str, list[ProfiledPull]] = {image: [] for image in images}
        try:
            for number in range(repeats):
                for image in images:
                    await self._cri.remove(image) if image in held else None
                    pulls[image].append(await self._pull(image))
                    self._say(f"{image}: pull {number + 1} of {repeats}: {pulls[image][-1].seconds:.3f} s")
                    await self._sample(image, pulls[image][-1])
                    await self._clear(image, before, held)
        finally:
            for image in images:
                await self._leave(image, before, held)
        return pulls

    async def _sample(self, image: str, pull: ProfiledPull) -> None:
        gzip = [layer for layer in pull.layers if "gzip" in (layer.media_type or "")]
        if gzip and image not in self.samples:
            largest = max(gzip, key=lambda layer: layer.layer_bytes or 0)
            self.samples[image] = await self._cri.content(largest.layer_digest, SAMPLE_BYTES)

    async def _clear(self, image: str, before: Mapping[str, Sequence[str]], held: Sequence[str]) -> None:
        """Raises HeldImageError where the same image is there under a name that it had before."""
        if image in held:
            return
        id = await self._cri.held_as(image)
        if id is not None and id in before:
            known_as = (before[id] or [id])[0]
            raise HeldImageError(
                f"{image} is the same image as {known_as}, which was on this node before: it stays, now with both "
                "names, and its pull was not cold; profile that name with --remove-held, or take a node without it"
            )
        await self._cri.remove(image)

    async def _leave(self, image: str, before: Mapping[str, Sequence[str]], held: Sequence[str]) -> None:
        """As it was, whatever went wrong."""
        id = await self._cri.held_as(image)
        if image in held and id is None:
            self._say(f"{image} was removed and is not back: crictl pull {image}")
        if image not in held and id is not None and id not in before:
            await self._cri.remove(image)

    async def _pull(self, image: str) -> ProfiledPull:
        host = full_reference(image).host
        login = basic_credentials(host, self._environment)
        auth = login.removeprefix("Basic ") if login else None
        before, began, since = self._usage(), time.time(), time.monotonic()
        await self._cri.pull(image, auth)
        seconds = time.monotonic() - since
        after = self._usage()
        stages, layers = await self._told(image, began - _CLOCK_SECONDS, began + seconds)
        used = after.since(before) if after is not None and before is not None else None
        return ProfiledPull(datetime.fromtimestamp(began, UTC), seconds, used, stages, layers)

    def _usage(self) -> Usage | None:
        return usage_of(self._process) if self._process is not None else None

    async def _told(self, image: str, began: float, ended: float) -> tuple[PullStages | None, tuple[PulledLayer, ...]]:
        """What its spans tell, once nothing is missing of them or none came for a while."""
        found, came, waited = None, -1, 0.0
        while waited < SPAN_SECONDS and (found is None or not found[0].complete):
            if self._intake.came == came:
                await self._sleep(_LOOK_SECONDS)
                waited += _LOOK_SECONDS
            else:
                came, waited = self._intake.came, 0.0
                found = self._intake.pull_of(image, began, ended)
        return found or (None, ())
