"""``pulldriver report``."""

from driver.commands.options import DEFAULT_OUT, Out
from driver.commands.reading import Clusters, ReadInflux, Runs, source_of


def report_command(
    out: Out = DEFAULT_OUT, influx: ReadInflux = None, run: Runs = None, cluster: Clusters = None
) -> None:
    """Write report.html, self-contained, and its figures as PNG files, into DIR.

    Examples:

      pulldriver report --out pulling-study

      pulldriver report --influx http://influx:8086 --run run-20261124T061500Z --out reported
    """
    from pullstudy.analysis.report.report import write_report

    for path in write_report(source_of(out, influx, run, cluster), out):
        print(path)
