"""``eks.tunnel``: a command of the user's that runs while a cluster is up, and leads to its private endpoint."""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from pathlib import Path

from driver.child_process import end_child, last_line, start_child
from driver.errors import ProviderError
from driver.providers.eks.control_plane import ControlPlane
from driver.providers.eks.handle import EksHandle
from pullstudy.polling import Sleep, every, polls

START_SECONDS = 60.0
GRACE_SECONDS = 5.0
PACE = every(0.1)


class Tunnels:
    """One a cluster, by the cluster's name. They die with the driver: their standard input is held open."""

    def __init__(self, sleep: Sleep) -> None:
        self._sleep = sleep
        self._running: dict[str, tuple[Process, Path]] = {}

    async def open(self, name: str, size: int, handle: EksHandle, plane: ControlPlane) -> None:
        """Start the command and wait for the kubeconfig that it writes. Raises ProviderError."""
        filled = {
            "cluster": handle.cluster,
            "endpoint": plane.endpoint,
            "kubeconfig": str(handle.kubeconfig),
            "region": handle.region,
            "size": str(size),
        }
        before = _written_at(handle.kubeconfig)
        log = handle.directory / "logs" / f"{name}.tunnel.log"
        tunnel = await start_child(
            [word.format_map(filled) for word in handle.plan.tunnel], log, stdin=PIPE, stdout=DEVNULL
        )
        self._running[name] = (tunnel, log)
        # One that is there already may be the last size's, or stay as it is: the tunnel is given time to write it anew.
        async for _ in polls(PACE, START_SECONDS, sleep=self._sleep):
            if _written_at(handle.kubeconfig) != before:
                return
            if tunnel.returncode is not None:
                break
        else:
            if before is not None:
                return
        raise ProviderError(f"the tunnel to {name} did not write {handle.kubeconfig}: {last_line(log)}")

    async def pause(self, name: str, seconds: float) -> None:
        """Wait so long. Raises ProviderError where the cluster has a tunnel that ends before."""
        if name not in self._running:
            return await self._sleep(seconds)
        tunnel, log = self._running[name]
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await tunnel.wait()
        if tunnel.returncode is not None:
            raise ProviderError(f"the tunnel to {name} ended with code {tunnel.returncode}: {last_line(log)}")

    async def end(self, name: str) -> None:
        tunnel, _ = self._running.pop(name, (None, None))
        if tunnel is not None:
            await end_child(tunnel, grace_seconds=GRACE_SECONDS)

    async def end_all(self) -> None:
        for name in list(self._running):
            await self.end(name)


def _written_at(kubeconfig: Path) -> int | None:
    """In nanoseconds, as the file system has it; None where it is not there."""
    try:
        return kubeconfig.stat().st_mtime_ns
    except FileNotFoundError:
        return None
