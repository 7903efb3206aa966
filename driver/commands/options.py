"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from driver.clusters.provider import Provider
from driver.errors import UsageError
from driver.planning.eks_plan import Mode
from driver.planning.study import CacheMode, Order, Profile, Stages
from driver.providers import PROVIDERS, make_provider

DEFAULT_OUT = Path("pulling-study")

Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Directory of the study.")]
StudyFile = Annotated[
    str | None,
    typer.Option(
        "--study",
        metavar="STUDY",
        help="seed: the 32 images of the first study, as without it; quick: 6 of them, for a first look; seed-38: all "
        "that it ran; or a file: study.toml, as pulldriver init writes it, or a study in upstream's JSON.",
    ),
]
Sizes = Annotated[
    str | None,
    typer.Option("--sizes", metavar="SIZES", help="Cluster sizes: 4..256 (doubling), 4,8,12 or 4..20:4 (in steps)."),
]
ProviderName = Annotated[str, typer.Option("--provider", metavar="NAME", help=f"One of: {', '.join(PROVIDERS)}.")]
Kubeconfig = Annotated[
    Path | None,
    typer.Option("--kubeconfig", metavar="FILE", help="How the cluster's API is reached, where the provider asks it."),
]
Repeats = Annotated[
    int | None, typer.Option("--repeats", metavar="N", help="How often each image is pulled at a size.")
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", metavar="N", help="Of the random order and of what is simulated; recorded with the run."),
]
SimProfile = Annotated[
    Profile | None,
    typer.Option(
        "--profile",
        help="Whose measured times the model takes, by which is simulated and foretold (docs/sim-model.md).",
    ),
]
Model = Annotated[
    Path | None,
    typer.Option(
        "--model",
        metavar="FILE",
        help="A JSON file of the model's parameters to change, by group (docs/sim-model.md).",
    ),
]
StagesOption = Annotated[
    Stages | None,
    typer.Option(
        "--stages",
        help="Which pulls of the simulator tell of their stages and layers: some is so many that the sweep takes little"
        " longer (docs/sim.md).",
    ),
]
Manifests = Annotated[
    list[str] | None,
    typer.Option(
        "--manifests",
        metavar="FILE",
        help="Images' manifests, which tell their bytes: a JSON file, or IMAGE=FILE where it does not name its image; "
        "may be repeated.",
    ),
]
AskRegistry = Annotated[
    bool,
    typer.Option(
        "--ask-registry",
        help="Ask the registries for the bytes of the images of which nothing else tells them; logins are Docker's.",
    ),
]
OrderOption = Annotated[Order | None, typer.Option("--order", help="Order of the jobs at each size.")]
Cache = Annotated[
    CacheMode | None, typer.Option("--cache", help="Clear the nodes' image caches between jobs, or leave them warm.")
]
EksMode = Annotated[
    Mode | None, typer.Option("--eks-mode", help="A whole cluster on EKS for each size, or its nodes alone.")
]
Kafka = Annotated[
    str | None,
    typer.Option(
        "--kafka",
        metavar="HOST:PORT",
        help="Records go through this Kafka into the InfluxDB. Login: KAFKA_... (docs/bus.md).",
    ),
]
Influx = Annotated[
    str | None,
    typer.Option(
        "--influx", metavar="URL", help="Records are in this InfluxDB 2. Token: INFLUXDB_V2_... (docs/influxdb.md)."
    ),
]
Note = Annotated[
    str | None,
    typer.Option(
        "--note", metavar="TEXT", help="Who runs it and why: kept with the study, shown in its report. May come again."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


SIMULATED = ("sim", "kwok")  # providers that the simulator's model is of


MOST_NOTE_CHARACTERS = 1000


def check_note(note: str | None) -> None:
    """Raises UsageError where it is longer than a header has room for."""
    if note is not None and len(note) > MOST_NOTE_CHARACTERS:
        raise UsageError(f"--note: {len(note):,} characters; give at most {MOST_NOTE_CHARACTERS:,}")


def check_stages(stages: Stages | None, provider: str) -> None:
    """Raises UsageError where another provider than the simulator is asked for them."""
    if stages is not None and provider != "sim":
        raise UsageError(f"--stages: not of the provider {provider}, whose nodes are real: docs/stages.md")


def provider_of(name: str, kubeconfig: Path | None, eks_mode: Mode | None) -> Provider:
    """The provider that these options ask for. Raises UsageError."""
    if eks_mode is not None and name != "eks":
        raise UsageError(f"--eks-mode: not of the provider {name}; leave it out, or give --provider eks")
    return make_provider(name, kubeconfig)
