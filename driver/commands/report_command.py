"""``pulldriver report``."""

from driver.commands.options import DEFAULT_OUT, Out


def report_command(out: Out = DEFAULT_OUT) -> None:
    """Write report.html, self-contained, and its figures as PNG files.

    Example:

      pulldriver report --out pulling-study
    """
    from analysis.report import write_report

    for path in write_report(out):
        print(path)
