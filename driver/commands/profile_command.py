"""``pulldriver profile``: cold pulls on this machine's containerd, and where their time goes."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from driver.commands.options import Json
from driver.errors import UsageError
from driver.terminal import write_text
from pullstudy.pulls.kubernetes_names import reference_fault

if TYPE_CHECKING:
    from driver.profiling.node_profile import NodeProfile

CONTAINERD = Path("/run/containerd/containerd.sock")


def profile_command(
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE...", help="As a pod names them; several are pulled in turn.")
    ],
    containerd: Annotated[
        Path, typer.Option("--containerd", metavar="SOCKET", help="Of this machine's containerd.")
    ] = CONTAINERD,
    repeats: Annotated[int, typer.Option("--repeats", metavar="N", min=1, help="Cold pulls of each image.")] = 3,
    otlp_port: Annotated[
        int | None,
        typer.Option(
            "--otlp-port",
            metavar="PORT",
            min=1,
            max=65535,
            help="Of 127.0.0.1, where containerd sends its spans. [default: as its environment says, else 4318]",
        ),
    ] = None,
    remove_held: Annotated[
        bool,
        typer.Option("--remove-held", help="Remove an image that is there already; it is left there, pulled anew."),
    ] = False,
    json: Json = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Also as a page with a Gantt picture.")
    ] = None,
    png: Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Also the Gantt picture alone.")] = None,
    perfetto: Annotated[
        Path | None, typer.Option("--perfetto", metavar="FILE", help="Also as traces, for ui.perfetto.dev.")
    ] = None,
) -> None:
    """Pull an image on this machine, cold and repeatedly, and say where the time goes and what would help.

    It is asked of containerd as a kubelet does; the image is removed in between, and afterwards. Stages and layers come
    from containerd's spans, which it sends to 127.0.0.1: where none come, what to set is said. Needs the extra otlp,
    and root.

    Examples:

      pulldriver profile registry.example/team/app:1.2

      pulldriver profile registry.example/team/app:1.2 registry.example/team/app:1.2-zstd --repeats 10 --html app.html

      pulldriver profile 10.0.0.5:5000/chonks:9-layers-size-200000000-bytes --json --perfetto pulls.json
    """
    import asyncio

    import msgspec

    from driver.profiling.text import profile_lines

    for image in images:
        if fault := reference_fault(image):
            raise UsageError(f"{image}: no image's name: {fault}")
    if len(set(images)) < len(images):
        raise UsageError("an image is named twice; --repeats says how often each is pulled")
    found = asyncio.run(_profile(tuple(images), containerd.absolute(), repeats, otlp_port, remove_held))
    _write_files(found, html, png, perfetto)
    if json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        print("\n".join(profile_lines(found)))


async def _profile(
    images: tuple[str, ...], socket: Path, repeats: int, port: int | None, remove_held: bool
) -> "NodeProfile":
    import asyncio

    from driver.profiling.cri import runtime
    from driver.profiling.node_profile import node_profile
    from driver.profiling.profile import Profiler
    from driver.profiling.runtime_process import how_to_send, node_name, pid_behind, span_target
    from driver.profiling.span_intake import USUAL_PORT, span_intake
    from pullstudy.pulls.decode import Origin

    def say(line: str) -> None:
        write_text(sys.stderr, f"pulldriver: {line}\n")

    async with runtime(socket) as cri:
        version = await cri.version()
        process = pid_behind(socket)
        target = span_target(process) if process is not None else None
        listening = port or (target.loopback_port if target else None) or USUAL_PORT
        async with span_intake(listening, Origin(cluster=node_name())) as intake:
            profiler = Profiler(cri, process, intake, os.environ, asyncio.sleep, say)
            pulls = await profiler.profile(images, repeats, remove_held=remove_held)
    processors = os.cpu_count() or 1
    asked = how_to_send(listening, target)
    return node_profile(node_name(), version, str(socket), processors, pulls, profiler.samples, asked)


def _write_files(found: "NodeProfile", html: Path | None, png: Path | None, perfetto: Path | None) -> None:
    from driver.profiling.page import profile_page, profile_png, profile_traces
    from pullstudy.analysis.output_file import output_file
    from pullstudy.analysis.traces.perfetto import write_perfetto

    if html is not None:
        with output_file(html) as file:
            file.write(profile_page(found).encode())
    picture = profile_png(found) if png is not None else None
    if png is not None and picture is not None:
        with output_file(png) as file:
            file.write(picture)
    if perfetto is not None:
        with output_file(perfetto) as file:
            write_perfetto(profile_traces(found), file)
