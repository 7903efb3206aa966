"""What of a study's facts is compared."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase

from pullstudy.analysis.findings.comparison import ComparedStudy, Ended, Item, Pulls, most_streamed
from pullstudy.analysis.findings.cost import cluster_costs
from pullstudy.analysis.findings.pull_groups import Grouping
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Facts, cache_order, image_key
from pullstudy.analysis.statistics.rate_ratio import Counted
from pullstudy.analysis.timelines.job_summary import ImagePulls, JobSummary
from pullstudy.pulls.streamed import Streamed

Wanted = Callable[[str], bool]


def compared_study(facts: Facts, images: Sequence[str] = ()) -> ComparedStudy:
    """Of the images that fit one of the patterns; of all without any."""

    def wanted(image: str) -> bool:
        return not images or any(fits(image, pattern) for pattern in images)

    prices = {cost.cluster: cost.price for cost in cluster_costs(facts.study, facts.jobs) if cost.price}
    currencies = {price.currency for price in prices.values()}
    return ComparedStudy(
        pulls=_pulls_of_jobs(facts, wanted) or _pulls_of_no_job(facts, wanted),
        jobs=[
            _ended(job, prices[job.cluster].per_node_hour if job.cluster in prices else None)
            for job in facts.jobs
            if not job.failed and job.start is not None and any(map(wanted, job.images))
        ],
        failures=_failures(facts) if not images else _failures_of_images(facts, wanted),
        currency=currencies.pop() if len(currencies) == 1 else None,
    )


def fits(image: str, pattern: str) -> bool:
    """Of the whole name as the kubelet has it, or of what stands behind its last slash."""
    return any(fnmatchcase(name, pattern) for name in (image, image.rpartition("/")[2]))


def item_of(image: str, cache: str) -> Item:
    """Images of two studies are the same by layers and bytes, or by name and tag; their registries may differ."""
    known = image_key(image)
    name = wording.image_name(image) if known.layers else image.rpartition("/")[2]
    return Item(cache_order(cache), known.layers or 0, known.unpacked_bytes or 0, name, cache)


def _pulls_of_jobs(facts: Facts, wanted: Wanted) -> list[Pulls]:
    return [pulls for job in facts.jobs for pulls in _pulls_of_job(job, wanted)]


def _pulls_of_job(job: JobSummary, wanted: Wanted) -> Iterator[Pulls]:
    """An image is one value, whatever its containers, and whichever of its pulls were streamed."""
    by_item: dict[Item, list[ImagePulls]] = defaultdict(list)
    for pulls in job.pulls:
        if pulls.downloads and wanted(pulls.image):
            by_item[item_of(pulls.image, pulls.cache)].append(pulls)
    for item, found in by_item.items():
        seconds = found[0].downloads if len(found) == 1 else [value for each in found for value in each.downloads]
        streamed = most_streamed(each.streaming for each in found)
        yield Pulls(job.cluster, job.size or 0, item, seconds, streamed)


def _pulls_of_no_job(facts: Facts, wanted: Wanted) -> list[Pulls]:
    """Nothing tells such pulls' occasions apart: a cluster's pulls of an image are one value."""
    sizes = facts.study.sizes
    return [
        Pulls(cluster, sizes.get(cluster) or 0, item_of(key.image, group.cache), values.seconds, Streamed.WHOLE)
        for group in facts.groups
        for (key, cluster), values in group.pulls.items()
        if values.seconds and wanted(key.image)
    ]


def _ended(job: JobSummary, price: float | None) -> Ended:
    items = [item_of(image, job.cache) for image in job.images]
    several = Item(cache_order(job.cache), 0, 0, " + ".join(sorted(item.name for item in items)), job.cache)
    item = items[0] if len(items) == 1 else several
    return Ended(job.cluster, job.size or 0, item, job.seconds_until, price)


def _failures(facts: Facts) -> list[Counted]:
    """By owner of the pods: a job, or what people deployed."""
    return [
        Counted(owner.failed, owner.attempts) for owner in facts.pulls.by(Grouping.OWNER).values() if owner.attempts
    ]


def _failures_of_images(facts: Facts, wanted: Wanted) -> list[Counted]:
    found = facts.pulls.by(Grouping.IMAGE).items()
    return [Counted(image.failed, image.attempts) for name, image in found if image.attempts and wanted(name[0])]
