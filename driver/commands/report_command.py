"""``pulldriver report``."""

from typing import TYPE_CHECKING, Annotated

import typer

from driver.commands.options import DEFAULT_OUT, Json, Out
from driver.commands.reading import Clusters, ReadArchive, ReadInflux, Runs, source_of
from driver.commands.thresholds import objectives_of, verdict_code
from pullstudy.pulls.printable import printable

if TYPE_CHECKING:
    from pullstudy.analysis.findings.finding import Finding
    from pullstudy.analysis.report.facts import Facts


def report_command(
    out: Out = DEFAULT_OUT,
    influx: ReadInflux = None,
    archive: ReadArchive = None,
    run: Runs = None,
    cluster: Clusters = None,
    slo: Annotated[
        list[str] | None,
        typer.Option(
            "--slo",
            metavar="OBJECTIVE",
            help="Instead of a page: say whether all downloads meet it. Exit code 0 where they do, 1 where they miss "
            "it beyond chance, 3 where these data cannot tell; may be repeated. Of median, p95 or p99: 'p99 < 60s'.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Write report.html, self-contained, and its figures as PNG files, into DIR.

    With --json every figure and finding is printed instead; with --slo whether pulls meet an objective. Neither writes
    a page, nor needs the extra `report`.

    Examples:

      pulldriver report --out pulling-study

      pulldriver report --out pulling-study --json

      pulldriver report --out pulling-study --slo 'p99 < 60s'

      pulldriver report --influx http://influx:8086 --run run-20261124T061500Z --out reported

      pulldriver report --archive s3://pulls/archive --cluster prod-1 --out reported
    """
    objectives = objectives_of(slo or (), "--slo")
    from driver.planning.advice import advice

    source = source_of(out, influx, archive, run, cluster)
    if not objectives and not json:
        from pullstudy.analysis.report.report import write_report

        for path in write_report(source, out, advice):
            print(path)
        return
    from pullstudy.analysis.findings.finding import Verdict
    from pullstudy.analysis.findings.objectives import objective_findings
    from pullstudy.analysis.report.all_findings import downloads_of
    from pullstudy.analysis.report.facts import gather_facts

    facts = gather_facts(source, advice)
    met = list(objective_findings(objectives, *downloads_of(facts)))
    if json:
        print(_json(facts, met))
    else:
        print("\n".join(printable(finding.evidence) for finding in met))
    if objectives:
        raise typer.Exit(verdict_code((finding.verdict for finding in met), failing=Verdict.NO))


def _json(facts: "Facts", met: "list[Finding]") -> str:
    import msgspec

    from pullstudy.analysis.findings.finding import findings_of_json
    from pullstudy.analysis.report.all_findings import findings_of

    told = {
        "study": facts.study.name,
        "simulated": facts.study.simulated,
        "notes": facts.study.notes,
        "guessed_sizes": facts.guessed_images,
        "findings": findings_of_json([*findings_of(facts), *met]),
    }
    return msgspec.json.format(msgspec.json.encode(told)).decode()
