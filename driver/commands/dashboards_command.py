"""``pulldriver dashboards``, and in a checkout ``python -m dashboards``.

grafanalib comes with the extra ``dashboards``: it is imported where a command needs it, and by no other.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from pullstudy.extras import require
from pullstudy.pulls.kinds import DEFAULT_NAME

dashboards_app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="""Grafana's dashboards and alert rules: written as files, put into a Grafana, given a study to show.

    Examples:

      pulldriver dashboards build deploy/grafana/dashboards

      GRAFANA_TOKEN=... pulldriver dashboards push http://grafana:3000

      pulldriver dashboards fill pulling-study --influx http://influx:8086
    """,
)
BucketName = Annotated[str, typer.Option(metavar="NAME", help="The InfluxDB bucket that the records are in.")]


@dashboards_app.command()
def build(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where the JSON files go.")],
    bucket: BucketName = DEFAULT_NAME,
) -> None:
    """Write the dashboards as JSON and the alert rules as YAML: the same files every time.

    Example:

      pulldriver dashboards build deploy/grafana/dashboards
    """
    require("grafanalib", "dashboards")
    from dashboards.build import write_files
    from dashboards.flux import Bucket

    for path in write_files(directory, Bucket(bucket)):
        print(path)


@dashboards_app.command()
def push(
    url: Annotated[str, typer.Argument(metavar="URL", help="The Grafana, as http://HOST:3000.")],
    bucket: BucketName = DEFAULT_NAME,
) -> None:
    """Put folder, data sources, dashboards and alert rules into a Grafana; again, it changes nothing.

    Its token is in GRAFANA_TOKEN or GRAFANA_TOKEN_FILE; the data sources are those of INFLUXDB_V2_URL, _ORG, _TOKEN and
    PROMETHEUS_URL.

    Example:

      GRAFANA_TOKEN=... pulldriver dashboards push http://grafana:3000
    """
    require("grafanalib", "dashboards")
    from dashboards.flux import Bucket
    from dashboards.push import Grafana, push_all

    for line in push_all(Grafana.from_environment(url, os.environ), Bucket(bucket), os.environ):
        print(line)


@dashboards_app.command()
def fill(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A study: what pulldriver's --out named.")],
    influx: Annotated[str | None, typer.Option(metavar="URL", help="The InfluxDB 2; else INFLUXDB_V2_URL.")] = None,
    bucket: Annotated[str | None, typer.Option(metavar="NAME", help="The bucket; it has to exist.")] = None,
) -> None:
    """Put a study that lies in a file into an InfluxDB, with the phases of its jobs.

    The token is in INFLUXDB_V2_TOKEN. Again, it changes nothing.

    Example:

      pulldriver dashboards fill pulling-study --influx http://influx:8086
    """
    from dashboards.fill import fill_bucket
    from pullstudy.store.stores import store_settings

    settings = store_settings(os.environ, url=influx, bucket=bucket)
    print(fill_bucket(directory, settings, lambda line: print(f"pulldriver: {line}", file=sys.stderr)))
