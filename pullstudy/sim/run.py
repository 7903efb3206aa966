"""One run of the simulator as a process: options read, server up, told so, and down again when asked."""

import asyncio
import contextlib
import gc
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from pullstudy.pulls.image_size import ImageSize
from pullstudy.sim.api.version import KubernetesVersion
from pullstudy.sim.cluster import ClusterSettings
from pullstudy.sim.faults.kinds import AnyFault, FaultError, parse_faults
from pullstudy.sim.http.server import SimServer, serving
from pullstudy.sim.kubeconfig import write_kubeconfig
from pullstudy.sim.model.model_file import parse_model
from pullstudy.sim.model.parameters import PROFILES, ModelParameters, ParametersError

COMPACTION_SECONDS = 300.0  # what a real server keeps
NAME_PREFIX = "sim-"
DONE, INTERRUPTED = 0, 130


class WrongUseError(Exception):
    """Options that cannot be served. ``str()`` is one line that says what to write."""


@dataclass(frozen=True)
class Options:
    nodes: int
    port: int
    kubeconfig: Path | None
    speed: str
    cluster: str
    seed: int
    profile: str
    model: Path | None
    version: str
    faults: Path | None
    images: Path | None
    start_at: str | None
    event_seconds: float
    keep_revisions: int
    keep_seconds: float | None
    exit_with_stdin: bool
    otlp: str | None
    otlp_layers: int | None


async def run(options: Options) -> int:
    """Serve until interrupted (130) or, if asked for, until standard input ends (0). Raises WrongUseError, OSError."""
    speed = _speed(options.speed)
    if options.otlp is not None and not options.otlp.startswith(("http://", "https://")):
        raise WrongUseError(f"--otlp {options.otlp!r}: write it as http://127.0.0.1:4318")
    settings = _settings(options, speed)
    faults = _faults(options.faults)
    over: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    try:
        # Whoever reads that it is ready may send a signal at once.
        with _signals(over), _stdin_end(over, options.exit_with_stdin):
            async with serving(settings, speed, options.port, otlp=options.otlp) as server:
                _calm_garbage_collection()
                server.inject(faults)
                if options.kubeconfig is not None:
                    write_kubeconfig(options.kubeconfig, settings.name, server.url)
                _announce(options, settings, server.url)
                return await _until_over(over, server)
    except OSError as error:
        if error.filename is None:
            raise OSError(f"cannot listen on port {options.port} ({error.strerror}): choose another --port") from error
        raise OSError(f"cannot write {error.filename}: {error.strerror}") from error


def _calm_garbage_collection() -> None:
    """Objects are many, live long and hold no cycles: at Python's own pace a tenth of the time went into looking."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise WrongUseError(f"--speed {text!r}: write max, or virtual seconds a real second, like 1 or 60")
    return speed


def _settings(options: Options, speed: float | None) -> ClusterSettings:
    if options.profile not in PROFILES:
        raise WrongUseError(f"--profile {options.profile!r}: write {' or '.join(PROFILES)}")
    parameters = _parameters(options)
    keep_seconds = options.keep_seconds
    if keep_seconds is None and speed is not None:
        keep_seconds = COMPACTION_SECONDS
    name = options.cluster if options.cluster.startswith(NAME_PREFIX) else NAME_PREFIX + options.cluster
    try:
        version = KubernetesVersion.parse(options.version)
    except ValueError as error:
        raise WrongUseError(f"--version: {error}") from error
    start_at = _start_at(options.start_at)
    return ClusterSettings(
        name=name,
        nodes=options.nodes,
        seed=options.seed,
        start_at=start_at,
        version=version,
        parameters=replace(parameters, control=replace(parameters.control, event_seconds=options.event_seconds)),
        keep_revisions=options.keep_revisions,
        keep_seconds=keep_seconds,
        images=_images(options.images),
        traced_layers=options.otlp_layers,
    )


def _start_at(text: str | None) -> datetime | None:
    try:
        at = datetime.fromisoformat(text) if text else None
    except ValueError as error:
        raise WrongUseError(f"--start-at {text!r}: write it as 2026-01-31T12:00:00Z") from error
    return at.replace(tzinfo=at.tzinfo or UTC) if at else None


def _parameters(options: Options) -> ModelParameters:
    parameters = PROFILES[options.profile]
    if options.model is None:
        return parameters
    try:
        return parse_model(options.model.read_bytes()).parameters(parameters)
    except OSError as error:
        raise WrongUseError(f"--model {options.model}: {error.strerror}") from error
    except ParametersError as error:
        raise WrongUseError(f"--model {options.model}: {error}") from error


def _images(path: Path | None) -> dict[str, ImageSize]:
    if path is None:
        return {}
    try:
        sizes = msgspec.json.decode(path.read_bytes(), type=dict[str, ImageSize])
    except OSError as error:
        raise WrongUseError(f"--images {path}: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WrongUseError(f"--images {path}: sizes by reference are wanted (docs/sim.md): {error}") from error
    for reference, size in sizes.items():
        if size.mistake:
            raise WrongUseError(f"--images {path}: {reference}: {size.mistake}")
    return sizes


def _faults(path: Path | None) -> list[AnyFault]:
    if path is None:
        return []
    try:
        return parse_faults(path.read_bytes())
    except OSError as error:
        raise WrongUseError(f"--faults {path}: {error.strerror}") from error
    except FaultError as error:
        raise WrongUseError(f"--faults {path}: {error}") from error


def _announce(options: Options, settings: ClusterSettings, url: str) -> None:
    """The line for programs on standard output, the lines for people on standard error."""
    ready = {
        "ready": True,
        "url": url,
        "cluster": settings.name,
        "nodes": settings.nodes,
        "kubeconfig": str(options.kubeconfig) if options.kubeconfig else None,
    }
    sys.stdout.write(msgspec.json.encode(ready).decode() + "\n")
    sys.stdout.flush()
    if options.exit_with_stdin:
        return
    lines = [f"simulated cluster {settings.name}: {settings.nodes} nodes on {url}"]
    if options.kubeconfig is not None:
        lines += [
            f"  kubectl --kubeconfig {options.kubeconfig} get nodes",
            f"  collector --cluster {settings.name} --kubeconfig {options.kubeconfig} --data-dir DIR",
        ]
    lines += [f"  curl {url}/sim/state", "Ctrl-C ends it."]
    sys.stderr.write("\n".join(lines) + "\n")


async def _until_over(over: "asyncio.Future[int]", server: SimServer) -> int:
    broken = asyncio.create_task(server.wait_broken())
    waiting: list[asyncio.Future[Any]] = [over, broken]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if broken.done():
        broken.result()
    broken.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await broken
    return over.result()


def _end(over: "asyncio.Future[int]", code: int) -> None:
    if not over.done():
        over.set_result(code)


@contextlib.contextmanager
def _signals(over: "asyncio.Future[int]") -> Iterator[None]:
    loop = asyncio.get_running_loop()
    # SIGTERM is the ordinary way to be told to go.
    codes = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: DONE}
    for number, code in codes.items():
        loop.add_signal_handler(number, _end, over, code)
    try:
        yield
    finally:
        for number in codes:
            loop.remove_signal_handler(number)


@contextlib.contextmanager
def _stdin_end(over: "asyncio.Future[int]", wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    loop = asyncio.get_running_loop()
    descriptor = sys.stdin.fileno()

    def readable() -> None:
        if not os.read(descriptor, 65536):
            _end(over, DONE)

    try:
        loop.add_reader(descriptor, readable)
    except PermissionError:  # a file or /dev/null cannot be waited for: it has ended already
        _end(over, DONE)
        yield
        return
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
