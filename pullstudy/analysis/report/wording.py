"""Numbers and names as people read them in the report."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from pullstudy.pulls.image import parse_image, study_shape

UNKNOWN = "–"
_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_ABBREVIATED = 34


def seconds(value: float | None) -> str:
    """Three significant digits, a unit that fits: 3.2 ms, 12.3 s, 1,384 s."""
    if value is None:
        return UNKNOWN
    if abs(value) >= 1000:
        return f"{value:,.0f} s"
    if abs(value) < 0.1 and value != 0:
        return f"{significant(value * 1000)} ms"
    return f"{significant(value)} s"


def seconds_interval(low: float | None, high: float | None) -> str:
    """``9.6 s to 10.2 s``; a side that nothing bounds is said to have no bound."""
    if low is None or high is None:
        return UNKNOWN if low is high else f"up to {seconds(high)}" if low is None else f"from {seconds(low)}"
    return f"{seconds(low)} to {seconds(high)}"


def significant(value: float) -> str:
    """Three significant digits without an exponent."""
    if value == 0:
        return "0"
    digits = 3
    magnitude = abs(value)
    while magnitude >= 10 and digits > 1:
        magnitude /= 10
        digits -= 1
    return f"{value:,.{digits - 1}f}"


def number(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:,}" if isinstance(value, int) else significant(value)


def size_of(value: float | None) -> str:
    """Decimal units, as the study's tags and cloud providers count: 19.03 GB."""
    if value is None:
        return UNKNOWN
    for scale, unit in _UNITS:
        if abs(value) >= scale:
            return f"{value / scale:.4g} {unit}"
    return f"{value:.0f} B"


def rate(value: float | None) -> str:
    """Bytes per second."""
    return UNKNOWN if value is None else f"{size_of(value)}/s"


def percent(share: float | None) -> str:
    return UNKNOWN if share is None else f"{100 * share:.1f}%"


def money(value: float | None, currency: str) -> str:
    return UNKNOWN if value is None else f"{value:,.2f} {currency}"


def stretch(whole_seconds: int) -> str:
    """A length of time that is a whole number of a unit: 15 minutes."""
    for name, length in (("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if whole_seconds % length == 0:
            count = whole_seconds // length
            return name if count == 1 else f"{count} {name}s"
    return "second" if whole_seconds == 1 else f"{whole_seconds} seconds"


def moment_of(at: datetime | None) -> str:
    return UNKNOWN if at is None else at.strftime("%Y-%m-%d %H:%M:%S UTC")


def image_name(image: str | None) -> str:
    """A study's image by its size and layers; another by the end of its name, which tells images apart."""
    if image is None:
        return "unknown image"
    shape = study_shape(parse_image(image).tag)
    if shape:
        return f"{size_of(shape[1])}, {shape[0]} layers"
    path, _, name = image.partition("@")[0].rpartition("/")
    short = f"…/{name}" if path else name
    return short if len(short) <= _ABBREVIATED else f"…{short[-_ABBREVIATED:]}"


def workload_name(workload: str | None) -> str:
    """Its images, each by its own name."""
    return " + ".join(map(image_name, workload.split(" + "))) if workload is not None else image_name(None)


def workload_names(workloads: Sequence[str]) -> dict[str, str]:
    """Of each, without the images that all have; no two alike."""
    images = {workload: workload.split(" + ") for workload in workloads}
    shared = set.intersection(*map(set, images.values())) if len(workloads) > 1 else set()
    own = {workload: " + ".join(each for each in found if each not in shared) for workload, found in images.items()}
    names = {workload: workload_name(own[workload] or workload) for workload in workloads}
    counts = Counter(names.values())
    return {workload: name if counts[name] == 1 else workload for workload, name in names.items()}


def cluster_of(label: str) -> str:
    """By a series' label, its nodes and, where several clusters have as many, its name: ``the cluster of 4 nodes``."""
    size, _, name = label.partition(" ")
    return f"the cluster of {size} node{'' if size == '1' else 's'}{f' {name}' if name else ''}"


def phase_name(phase: str) -> str:
    """``pulling_to_pulled`` as ``pulling → pulled``."""
    return phase.replace("_to_", " → ").replace("_", " ")


def listed(words: Sequence[str], at_most: int = 6) -> str:
    """``a, b and c``, and how many more there are."""
    if not words:
        return "none"
    if len(words) > at_most:
        return f"{', '.join(words[:at_most])} and {len(words) - at_most} more"
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def plural(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else (many or one + 's')}"
