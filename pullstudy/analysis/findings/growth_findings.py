"""Whether makespans grow with the nodes, and the phases that they are made of, as findings."""

from collections.abc import Iterable, Iterator

from pullstudy.analysis.findings.finding import Finding, FindingId, Verdict
from pullstudy.analysis.findings.growth import Decomposition, PhaseBySize
from pullstudy.analysis.findings.growth_finding import growth_finding
from pullstudy.analysis.statistics.doubling import Doubling

_ASSUMED = (
    "clusters are independent of each other, and each one deviates as a whole",
    "every doubling of the nodes takes the same number of times as long",
)
_ONE_SIZE = "makespans that can be compared are of one size only: whether they grow cannot be told"
_OF_A_PATH = ("a job is over when its last pod is: phases are those of that pod",)


def makespan_growth(decompositions: Iterable[Decomposition]) -> Iterator[Finding]:
    """How many times as long makespans get a doubling of the nodes; of each run and cache state."""
    for found in decompositions:
        until = f" until the last container was {found.until}" if found.until != "job_completed" else ""
        count = len(found.workloads)
        workloads = f"{count} workloads" if count > 1 else "one workload"
        what = f"makespans of the {workloads} that every size ran{until}"
        growth, verdict = found.per_doubling, found.verdict
        yield growth_finding(
            FindingId.MAKESPAN_GROWTH,
            "all",
            growth,
            verdict,
            f"{what}: {_words(growth, verdict)}" if growth else _ONE_SIZE,
            _ASSUMED,
            clusters=growth.units if growth else 0,
            cache=found.cache,
            run=found.run,
        )


def _words(growth: Doubling, verdict: Verdict) -> str:
    if growth.low is None or growth.high is None:
        return f"from {growth.units} clusters growth cannot be told from how clusters differ"
    times = f"{growth.value:.3g} times as long a doubling of the nodes, from {growth.units} clusters"
    said = {Verdict.YES: "they grow", Verdict.NO: "they do not grow by a twentieth", Verdict.UNKNOWN: "cannot tell"}
    return f"{times} (95%: {growth.low:.3g} to {growth.high:.3g}): {said[verdict]}"


def phase_findings(decompositions: Iterable[Decomposition]) -> Iterator[Finding]:
    """The seconds of each phase of the makespans at each size, summed over the workloads that every size ran."""
    for found in decompositions:
        for phase in found.phases:
            for size in found.sizes:
                yield _phase(found, phase, size)


def _phase(found: Decomposition, phase: PhaseBySize, size: int) -> Finding:
    seconds, whole = phase.seconds[size], found.makespan_seconds[size]
    share = f", {100 * seconds / whole:.1f}% of the makespans" if whole else ""
    off = f", off by at most {phase.resolution_seconds:.3g} s" if phase.resolution_seconds >= 1e-3 else ""
    return Finding(
        id=FindingId.PHASE,
        subject=f"{phase.phase}, {size} nodes",
        value=seconds,
        interval=None,
        unit="s",
        n=found.jobs[size],
        counts="jobs",
        verdict=Verdict.YES,
        evidence=f"{phase.phase} took {seconds:.3g} s in {len(found.workloads)} workloads{share}{off}",
        assumptions=_OF_A_PATH,
        size=size,
        cache=found.cache,
        run=found.run,
        phase=phase.phase,
    )
