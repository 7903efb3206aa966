"""Up to which moment the makespans of several jobs can be compared: the last that nearly all of them have."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from pullstudy.analysis.timelines.job_summary import CUTS
from pullstudy.pulls.milestone import Moment

NEARLY_ALL = 0.9  # of a group's jobs: an event may be lost; jobs that miss their end because they were slow are more

Group = Sequence[Collection[Moment]]  # of each job the moments that it has


def last_common(groups: Iterable[Group]) -> Moment | None:
    """The last of CUTS that in each group (a size, a side of a comparison) nine jobs in ten have; None where none is.

    Jobs that lack it are left out: one that is cut earlier would be shorter for it.
    """
    common = had_in_each(groups, NEARLY_ALL)
    return next((moment for moment in CUTS if moment in common), None)


def had_in_each(groups: Iterable[Group], share: float) -> set[Moment]:
    """The moments that in each group this share of jobs or more have; none of no group."""
    found = [_had(group, share) for group in groups]
    return set.intersection(*found) if found else set()


def _had(group: Group, share: float) -> set[Moment]:
    counts = Counter(moment for moments in group for moment in moments)
    return {moment for moment, count in counts.items() if count >= share * len(group)}
