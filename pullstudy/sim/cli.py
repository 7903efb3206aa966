"""``python -m pullstudy.sim`` and ``pulldriver sim``: the simulator alone, as a server, for anyone's tools."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)

MOST_NODES = 20_000  # Kubernetes is made for 5,000

_EPILOG = """
Examples: pulldriver sim --nodes 16 --port 8001 --kubeconfig sim.yaml, and then in another window
kubectl --kubeconfig sim.yaml get nodes, or collector --cluster sim-cluster --kubeconfig sim.yaml --data-dir D.
With --speed 60 a minute of the cluster is a second of yours; without it time jumps from one thing that happens to the
next, and stands still while nothing does."""


@app.command(epilog=_EPILOG)
def sim(
    nodes: Annotated[int, typer.Option(metavar="N", min=1, max=MOST_NODES, help="How many nodes the cluster has.")] = 4,
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="TCP port on 127.0.0.1; 0 takes a free one.")
    ] = 0,
    kubeconfig: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a kubeconfig for clients to this file.")
    ] = None,
    speed: Annotated[str, typer.Option(metavar="X", help="Virtual seconds a real second, or max.")] = "max",
    cluster: Annotated[
        str, typer.Option(metavar="NAME", help="The cluster's name; sim- is put before it if it does not begin so.")
    ] = "sim-cluster",
    seed: Annotated[int, typer.Option(metavar="N", help="Of all that is random: placement, spread, stragglers.")] = 0,
    profile: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Whose measured times: eks, eks-gp2, gke-pd, gke-local-ssd, gke-streaming or gke."
        ),
    ] = "eks",
    model: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A JSON file of model parameters to change; see docs/sim-model.md."),
    ] = None,
    version: Annotated[
        str, typer.Option(metavar="VERSION", help="The Kubernetes version whose messages are spoken.")
    ] = "1.34.4",
    faults: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A JSON list of faults to begin with; see docs/sim.md.")
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A JSON file of images' sizes; others go by their names. See docs/sim.md."),
    ] = None,
    start_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Virtual time at the start, RFC 3339; the real now if not given.")
    ] = None,
    event_seconds: Annotated[
        float, typer.Option(metavar="S", help="How long events live (virtual), as --event-ttl.")
    ] = 3600.0,
    keep_revisions: Annotated[
        int, typer.Option(metavar="N", min=1, help="How many revisions a watch can resume over.")
    ] = 12_000,
    keep_seconds: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            help="Compaction by age (virtual); 300 on a real server. With a fixed speed this is the default.",
        ),
    ] = None,
    otlp: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Send the spans of pulls there, as OTLP over HTTP, as containerd does."),
    ] = None,
    otlp_layers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Of each image, let as many nodes send spans as have N layers of it in all, and three at least; all"
            " nodes if not given.",
        ),
    ] = None,
    exit_with_stdin: Annotated[bool, typer.Option("--exit-with-stdin", help="End when standard input does.")] = False,
) -> None:
    """Serve a simulated cluster on loopback until interrupted.

    Prints one JSON line when it is ready: {"ready": true, "url": ...}. Its own side is under /sim/: the truth, faults,
    the state.
    """
    from pullstudy.sim.run import Options, WrongUseError, run

    options = Options(
        nodes=nodes, port=port, kubeconfig=kubeconfig, speed=speed, cluster=cluster, seed=seed, profile=profile,
        model=model,
        version=version, faults=faults, images=images, start_at=start_at, event_seconds=event_seconds,
        keep_revisions=keep_revisions, keep_seconds=keep_seconds, exit_with_stdin=exit_with_stdin,
        otlp=otlp, otlp_layers=otlp_layers,
    )  # fmt: skip
    try:
        code = asyncio.run(run(options))
    except WrongUseError as error:
        typer.echo(f"sim: {error}", err=True)
        code = 2
    except OSError as error:
        typer.echo(f"sim: {error}", err=True)
        code = 1
    raise typer.Exit(code)


def main() -> None:
    """Entry point of ``python -m pullstudy.sim``."""
    app()
