"""What a cluster's size and the number of pulls say: which nodes took part in jobs, and which pulls were downloads."""

from pullstudy.analysis.findings.participation import Participation, participations
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Facts
from pullstudy.analysis.report.html import Markup, table


def size_warning(facts: Facts) -> str | None:
    """Where a cluster's size is not the number of nodes that pulled; None where it is everywhere."""
    parts = [words for each in participations(facts.jobs) if (words := _odd(facts, each))]
    return f"A cluster's size is not the number of nodes that pulled: {'; '.join(parts)}." if parts else None


def _odd(facts: Facts, each: Participation) -> str | None:
    where = wording.cluster_of(facts.series.label(each.cluster))
    found = []
    if each.on_fewer:
        nodes = _range(each.fewest_nodes, each.most_nodes)
        found.append(f"{each.on_fewer} of {wording.plural(each.jobs, 'job')} ran on fewer nodes ({nodes} took part)")
    if each.on_more:
        found.append(f"{each.on_more} of {wording.plural(each.jobs, 'job')} ran on more nodes than it is said to have")
    if each.riders:
        found.append(f"{each.riders:,} of {wording.plural(each.pulls, 'pull')} waited for another pod's download")
    return f"in {where} {wording.listed(found)}" if found else None


def participation_blocks(facts: Facts) -> list[Markup]:
    """How many nodes took part in the jobs of each cluster, and how many of their pulls were downloads."""
    rows = [
        [
            facts.series.label(each.cluster),
            f"{each.jobs:,}",
            _range(each.fewest_nodes, each.most_nodes) if each.jobs else wording.UNKNOWN,
            f"{each.on_fewer:,}",
            f"{each.downloads:,}",
            f"{each.riders:,}",
        ]
        for each in participations(facts.jobs)
    ]
    header = [
        "nodes in the cluster",
        "jobs",
        "nodes that took part in a job",
        "jobs on fewer nodes",
        "downloads",
        "waited for another's download",
    ]
    return [table(header, rows, caption="Which nodes took part, and which pulls were downloads")]


def _range(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"
