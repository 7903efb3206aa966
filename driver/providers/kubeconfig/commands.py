"""The user's own commands: one that scales the cluster, one that removes images from a node."""

import asyncio
from asyncio.subprocess import DEVNULL, STDOUT
from collections.abc import Iterator, Sequence
from tempfile import TemporaryFile

from driver.child_process import end_child
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
    """Run it to its end, without a terminal. Raises ProviderError with what it said last.

    Its session is its own: nothing in it can ask at the driver's terminal, and what it started can be ended with it.
    Its words go to a file: a pipe would be waited for as long as anything that it left in the background has it open.
    """
    with TemporaryFile() as said:
        try:
            process = await asyncio.create_subprocess_exec(
                *words, stdin=DEVNULL, stdout=said, stderr=STDOUT, start_new_session=True
            )
        except OSError as error:
            raise ProviderError(f"{what}: {words[0]}: {error.strerror}") from error
        try:
            async with asyncio.timeout(limit_seconds):
                await process.wait()
        except TimeoutError:
            raise ProviderError(f"{what}: {words[0]} did not end within {limit_seconds:.0f} s") from None
        finally:
            await end_child(process, grace_seconds=GRACE_SECONDS, whole_session=True)
        if process.returncode:
            said.seek(0)
            last = said.read().decode(errors="replace").strip().rpartition("\n")[2] or "it said nothing"
            raise ProviderError(f"{what}: {words[0]} ended with code {process.returncode}: {last}")
