"""When downloads end that share a registry's egress fairly: what ``Egress`` does, of downloads that are all known."""

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Transfers:
    """``downloads`` as they were given, and when each of them ends."""

    downloads: Sequence[tuple[float, float]]
    ends: Sequence[float]

    @property
    def busiest_second_bytes(self) -> float:
        """The most bytes that came within one of the seconds since time began, each download taken as even."""
        seconds: Counter[int] = Counter()
        for (begin, count), end in zip(self.downloads, self.ends, strict=True):
            rate = count / (end - begin) if end > begin else 0.0
            for second in range(int(begin), int(end) + 1):
                seconds[second] += round(rate * (min(end, second + 1) - max(begin, second)))
        return max(seconds.values(), default=0)


def transfers(downloads: Sequence[tuple[float, float]], total: float, each: float) -> Transfers:
    """``downloads``: when each begins, and its bytes. ``total`` bytes a second for all, at most ``each`` for one."""
    ends = [0.0] * len(downloads)
    under_way: list[tuple[float, int]] = []  # how far the counter is when a download has its bytes, and which it is
    served = now = 0.0  # ``served``: bytes that each has got since time began
    for begin, place in sorted((begin, place) for place, (begin, _) in enumerate(downloads)):
        while under_way:
            rate = min(each, total / len(under_way))
            mark, first = under_way[0]
            end = now + max(0.0, mark - served) / rate
            if end > begin:
                served += (begin - now) * rate
                break
            heapq.heappop(under_way)
            served, now, ends[first] = max(served, mark), end, end
        now = begin
        heapq.heappush(under_way, (served + downloads[place][1], place))
    while under_way:
        rate = min(each, total / len(under_way))
        mark, first = heapq.heappop(under_way)
        now += max(0.0, mark - served) / rate
        served, ends[first] = max(served, mark), now
    return Transfers(downloads, ends)
