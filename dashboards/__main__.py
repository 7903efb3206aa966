"""``python -m dashboards``: build the files, or push them to a Grafana."""

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


def _fail(message: str) -> NoReturn:
    sys.stderr.write(f"dashboards: {message}\n")
    raise typer.Exit(1)


if __name__ == "__main__":
    app(prog_name="python -m dashboards")
