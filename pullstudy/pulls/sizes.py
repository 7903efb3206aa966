"""The ``--sizes`` syntax: how many nodes each cluster of a sweep has."""

import re

MOST_NODES = 1_000_000  # of a cluster: more is a slip; Kubernetes is tested with 5,000
_RANGE = re.compile(r"(\d+)\.\.(\d+)(?::(\d+))?")
_FORMS = "4..256 (doubling), 4,8,12 (a list) or 4..20:4 (in steps)"


class SizesError(ValueError):
    """A text that is none of the three forms."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(f"sizes {text!r}: {why}; write {_FORMS}")
        self.text = text


def parse_sizes(text: str) -> tuple[int, ...]:
    """Cluster sizes in nodes, in the order written, each once.

    ``4..256`` doubles from 4 to at most 256, ``4,8,12`` lists, ``4..20:4`` steps by 4. Raises SizesError.
    """
    # Looked at as text: of a number of 5,000 digits Python makes none, and a range of 2^63 is a list without end.
    if any(len(number) > len(str(MOST_NODES)) or int(number) > MOST_NODES for number in re.findall(r"\d+", text)):
        raise SizesError(text[:60], f"a cluster has {MOST_NODES:,} nodes at most")
    sizes = tuple(_expand(text.strip(), text))
    if len(set(sizes)) != len(sizes):
        raise SizesError(text, "a size stands there twice")
    return sizes


def _expand(stripped: str, text: str) -> list[int]:
    match = _RANGE.fullmatch(stripped)
    if match:
        low, high = int(match[1]), int(match[2])
        if low < 1 or high < low:
            raise SizesError(text, "the range must rise from 1 or more")
        if match[3] is None:
            return [low << power for power in range((high // low).bit_length())]
        step = int(match[3])
        if step < 1:
            raise SizesError(text, "the step must be 1 or more")
        return list(range(low, high + 1, step))
    if not re.fullmatch(r"\d+(\s*,\s*\d+)*", stripped):
        raise SizesError(text, "not understood")
    sizes = [int(part) for part in stripped.split(",")]
    if min(sizes) < 1:
        raise SizesError(text, "a cluster has 1 node or more")
    return sizes
