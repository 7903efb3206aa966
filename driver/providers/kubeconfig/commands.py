"""The user's own commands: one that scales the cluster, one that removes images from a node."""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Iterator, Sequence

from driver.child import end_child
from driver.errors import ProviderError

GRACE_SECONDS = 5.0


def fill(words: Sequence[str], *, images: Sequence[str] = (), **values: object) -> Iterator[str]:
    """The words with ``{size}`` and ``{node}`` filled in; the word ``{images}`` becomes one word an image."""
    for word in words:
        if word == "{images}":
            yield from images
            continue
        for name, value in values.items():
            word = word.replace(f"{{{name}}}", str(value))
        yield word.replace("{images}", " ".join(images))


async def run_command(what: str, words: Sequence[str], limit_seconds: float) -> None:
    """Run it to its end, without a terminal. Raises ProviderError with what it said last."""
    try:
        process = await asyncio.create_subprocess_exec(*words, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT)
    except OSError as error:
        raise ProviderError(f"{what}: {words[0]}: {error.strerror}") from error
    try:
        async with asyncio.timeout(limit_seconds):
            said, _ = await process.communicate()
    except TimeoutError:
        raise ProviderError(f"{what}: {words[0]} did not end within {limit_seconds:.0f} s") from None
    finally:
        await end_child(process, grace_seconds=GRACE_SECONDS)
    if process.returncode:
        last = said.decode(errors="replace").strip().rpartition("\n")[2] or "it said nothing"
        raise ProviderError(f"{what}: {words[0]} ended with code {process.returncode}: {last}")
