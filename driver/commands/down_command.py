"""``pulldriver down``."""

import asyncio
import sys
from contextlib import closing
from pathlib import Path
from time import monotonic

from driver.commands.options import DEFAULT_OUT, Out
from driver.errors import UsageError
from driver.terminal import write_text


def down_command(out: Out = DEFAULT_OUT) -> None:
    """Take down what a sweep left behind, if anything: after a kill -9 or a crash of the machine.

    Example:

      pulldriver down --out pulling-study
    """
    from driver.commands.directory_lock import directory_lock
    from driver.commands.interrupt import interruptible
    from pullstudy.store.embedded.store import open_connection, upgrade_to_come

    open_connection(out, create=False).close()  # before the lock's file is put into a directory that is no study
    with directory_lock(out):
        if line := upgrade_to_come(out):
            _say(line)
        asyncio.run(interruptible(_down(out), _say))


def _say(line: str) -> None:
    write_text(sys.stdout, f"{line}\n")


async def _down(out: Path) -> None:
    from driver.clusters.cluster_lifecycle import ClusterLifecycle
    from driver.course import Course
    from driver.display import PlainProgress, ticking
    from driver.planning.study import decode_study
    from driver.providers import make_provider
    from driver.sweep import wall_clock
    from pullstudy.store.embedded.ledger import Ledger

    with closing(Ledger(out, create=True)) as ledger:
        run = ledger.swept_run()
        if run is None:
            raise UsageError(f"{out} holds no sweep, only what was imported: there is nothing to take down")
        # The last one first: what it took over from the one before is then gone with it.
        left = [row for row in reversed(ledger.clusters(run.run)) if row.alive]
        provider = make_provider(run.provider)
        progress = PlainProgress(_say, Course(clock=monotonic), monotonic)
        lifecycle = ClusterLifecycle(provider, ledger, decode_study(run.study), out, progress, now=wall_clock)
        try:
            async with ticking(progress):
                for row in left:
                    await lifecycle.clean_up(row)
                    progress.note(f"{row.cluster}: down")
        finally:
            await provider.close()
        if not left:
            _say("nothing is up")
