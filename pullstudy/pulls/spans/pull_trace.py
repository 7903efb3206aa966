"""Which spans belong to one pull: those below its root, whatever the order in which they came and how often."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pullstudy.pulls.spans.span import ROOTS, SYNC_POD, Span, is_above_root, is_root


@dataclass(frozen=True, slots=True)
class PullTrace:
    """The spans of one pull."""

    root: Span
    spans: tuple[Span, ...]  # without the root; by start
    whole: bool  # every span's parent was seen
    pod: Span | None  # the kubelet's span above the root, where there is one


def keep_distinct(found: dict[str, Span], span: Span) -> None:
    """Each span once, by its id; of two that differ the one that tells more."""
    known = found.setdefault(span.id, span)
    if known != span and _telling(span) > _telling(known):
        found[span.id] = span


def _telling(span: Span) -> tuple[int, int, int, str]:
    return (len(span.events), len(span.attributes), span.end - span.start, repr(span))


def pull_traces(spans: Iterable[Span]) -> list[PullTrace]:
    """The pulls of the spans of one trace, by their roots' starts.

    A span whose parent is missing belongs to the one root of its node that was open when it began; where there is no
    such root, or are several, to none.
    """
    found: dict[str, Span] = {}
    for span in spans:
        keep_distinct(found, span)
    roots = sorted(_roots(found), key=lambda span: (span.start, span.id))
    if not roots:
        return []
    root_of = _RootOf(found, roots)
    members: dict[str, list[Span]] = {root.id: [] for root in roots}
    broken: set[str] = set()
    for span in found.values():
        root, whole = root_of.find(span)
        if root is None or root.id == span.id:
            continue
        members[root.id].append(span)
        if not whole:
            broken.add(root.id)
    return [
        PullTrace(
            root,
            tuple(sorted(members[root.id], key=lambda span: (span.start, span.end, span.id))),
            root.id not in broken,
            next((span for span in _ancestors(found, root) if span.name == SYNC_POD), None),
        )
        for root in roots
    ]


def _roots(found: dict[str, Span]) -> Iterator[Span]:
    """The runtime's: above it may be the kubelet's own of the same name."""
    named = [span for span in found.values() if is_root(span)]
    above = {ancestor.id for span in named for ancestor in _ancestors(found, span)}
    return (span for span in named if span.id not in above)


def _ancestors(found: dict[str, Span], span: Span) -> Iterator[Span]:
    seen = {span.id}  # a damaged trace may have a circle
    while (parent := found.get(span.parent)) is not None and parent.id not in seen:
        seen.add(parent.id)
        yield parent
        span = parent


class _RootOf:
    """The root of each span, and whether the way to it is whole; found once for each."""

    def __init__(self, found: dict[str, Span], roots: list[Span]) -> None:
        self._found = found
        self._roots = roots
        self._known: dict[str, tuple[Span | None, bool]] = {root.id: (root, True) for root in roots}

    def find(self, span: Span) -> tuple[Span | None, bool]:
        way: list[Span] = []
        answer: tuple[Span | None, bool] | None = None
        at: Span | None = span
        seen: set[str] = set()
        while answer is None:
            if at is None or at.id in seen:
                last = way[-1]
                answer = (self._by_time(last), False) if last.parent else (None, True)
            elif at.id in self._known:
                answer = self._known[at.id]
            else:
                seen.add(at.id)
                way.append(at)
                at = self._found.get(at.parent)
        self._known.update({each.id: answer for each in way})
        return answer

    def _by_time(self, span: Span) -> Span | None:
        if span.name in ROOTS or is_above_root(span):
            return None  # it is above the root
        open_then = [
            root for root in self._roots if root.start <= span.start <= root.end and root.node in (span.node, None)
        ]
        return open_then[0] if len(open_then) == 1 else None
