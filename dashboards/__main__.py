"""``python -m dashboards``: build the files, push them to a Grafana, or fill an InfluxDB with a study to look at."""

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)
Bucket = Annotated[str, typer.Option(metavar="NAME", help="The InfluxDB bucket that the sink writes to.")]


@app.command()
def build(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where the JSON files go.")], bucket: Bucket = "pulls"
) -> None:
    """Write the dashboards and alert rules as JSON."""
    from dashboards.build import build as build_files
    from dashboards.flux import Source

    try:
        paths = build_files(directory, Source(bucket))
    except OSError as error:
        _fail(f"{directory}: {error.strerror}; give a directory that can be written to")
    sys.stdout.write("".join(f"{path}\n" for path in paths))


@app.command()
def push(
    url: Annotated[str, typer.Argument(metavar="URL", help="The Grafana, as http://HOST:3000.")],
    bucket: Bucket = "pulls",
) -> None:
    """Put folder, data sources, dashboards and alert rules into a Grafana; its token is in GRAFANA_TOKEN or
    GRAFANA_TOKEN_FILE, the data sources are those of INFLUXDB_V2_URL, _ORG, _TOKEN and PROMETHEUS_URL."""
    from dashboards.flux import Source
    from dashboards.push import Grafana, PushError
    from dashboards.push import push as push_all

    try:
        said = push_all(Grafana.from_environment(url, os.environ), Source(bucket), os.environ)
    except PushError as error:
        _fail(str(error))
    sys.stdout.write("".join(f"{line}\n" for line in said))


@app.command()
def fill(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A study: what pulldriver's --out named.")],
    influx: Annotated[str | None, typer.Option(metavar="URL", help="The InfluxDB 2; else INFLUXDB_V2_URL.")] = None,
    bucket: Annotated[str | None, typer.Option(metavar="NAME", help="The bucket; it has to exist.")] = None,
) -> None:
    """Put a study that lies in a file into an InfluxDB, with the phases of its jobs; the token is in INFLUXDB_V2_TOKEN."""
    from dashboards.fill import fill as fill_with
    from pullstudy.analysis.errors import AnalysisError
    from pullstudy.store.influx.settings import InfluxSettings, InfluxSettingsError
    from pullstudy.store.protocol import StoreError

    try:
        settings = InfluxSettings.from_environment(os.environ, url=influx, bucket=bucket)
        said = fill_with(directory, settings, _complain)
    except (AnalysisError, InfluxSettingsError, StoreError) as error:
        _fail(str(error))
    sys.stdout.write(f"{said}\n")


def _complain(line: str) -> None:
    sys.stderr.write(f"dashboards: {line}\n")


def _fail(message: str) -> NoReturn:
    _complain(message)
    raise typer.Exit(1)


if __name__ == "__main__":
    app(prog_name="python -m dashboards")
