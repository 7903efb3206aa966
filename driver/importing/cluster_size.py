"""How many nodes the cluster of some files had: by a node list, or by the nodes on which the pods of a log ran."""

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import msgspec

from driver.clusters.environment import DescribedNode
from driver.errors import UsageError
from driver.importing.archive import Part, parts_of
from driver.importing.byte_stream import UnreadableFileError
from driver.importing.listed_nodes import MOST_NODES, is_name, read_node
from driver.importing.listed_pods import NoPodError, read_pod
from driver.importing.log_file import STANDARD_INPUT, lines_of, opened
from driver.importing.other_document import node_texts, read_document
from pullstudy.pulls.event import UNREADABLE, Event
from pullstudy.pulls.eventlog import BarrenError, LoggedEvent, LogItem, OtherDocument, read_log
from pullstudy.pulls.message import read_scheduled
from pullstudy.pulls.pod import Pod
from pullstudy.pulls.pod_owner import belonging

_OF_KUBELET = ("Pulling", "Pulled", "Created", "Started")  # of pods that began while the log was written
_CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


class CountedSize(msgspec.Struct, frozen=True):
    """A number of nodes, and in words from what it was taken."""

    nodes: int
    source: str


class NodeCount:
    """The nodes of one cluster's files, by name."""

    def __init__(self) -> None:
        self._listed: set[str] = set()
        self._workers: set[str] = set()  # listed, and open to pods that tolerate no control plane
        self._of_jobs: set[str] = set()
        self._of_pods: set[str] = set()

    def add_event(self, event: Event) -> None:
        """The node that the event's pod is on, by the kubelet's word or the scheduler's."""
        subject = event.object
        if subject is None or subject.kind != "Pod":
            return
        node = event.host if event.reason in _OF_KUBELET else _scheduled_to(event)
        if node is not None:
            _put(self._of_pods, node)
            if belonging(subject.name, subject.labels, subject.owner_references).job is not None:
                _put(self._of_jobs, node)

    def add_pod(self, pod: Pod) -> None:
        """The node that a listed pod is on."""
        node, metadata = pod.spec.node_name, pod.metadata
        if node is not None and any(status.image_id for status in pod.status.every_status()):
            _put(self._of_pods, node)
            if belonging(metadata.name, metadata.labels, metadata.owner_references).job is not None:
                _put(self._of_jobs, node)

    def add_listed(self, node: DescribedNode) -> None:
        name = node.metadata.name
        _put(self._listed, name)
        if not any(taint.key in _CONTROL_PLANE for taint in node.spec.taints or ()):
            _put(self._workers, name)

    def counted(self) -> CountedSize | None:
        """None where nothing tells it. Raises UsageError where list and log differ."""
        if not self._listed:
            seen = len(self._of_pods)
            return CountedSize(seen, "the nodes on which pods of these files ran") if seen else None
        if len(self._of_jobs) > len(self._listed):
            raise UsageError(
                f"{len(self._listed)} nodes are listed, and pods of jobs ran on {len(self._of_jobs)}:"
                " say by --size how many nodes the cluster had; nothing was imported"
            )
        return CountedSize(len(self._workers) or len(self._listed), "the nodes that are listed")

    def check(self, size: int) -> None:
        """Raises UsageError, with the number that was seen, where the files tell another size."""
        listed = {len(self._listed), len(self._workers)} - {0}
        if len(self._of_jobs or ([] if listed else self._of_pods)) > size:  # a control plane has pods of its own
            seen = f"pods of these files ran on {len(self._of_pods)} nodes"
        elif listed and size not in listed and len(self._of_jobs) <= len(self._listed):
            seen = f"these files list {len(self._listed)} nodes"
        else:
            return
        raise UsageError(f"--size {size}, but {seen}: leave --size out, or give how many there were")


def _scheduled_to(event: Event) -> str | None:
    scheduled = read_scheduled(event.text) if event.reason == "Scheduled" else None
    return scheduled[1] if scheduled is not None else None


def _put(names: set[str], name: str) -> None:
    if is_name(name) and len(names) < MOST_NODES:
        names.add(name)


def count_nodes(
    paths: Iterable[Path],
    advance: Callable[[Path, int], None],
    note: Callable[[str], None],
    as_of: datetime | None = None,
) -> NodeCount:
    """Of files that can be read twice: pipes are passed over. ``as_of`` as read_log has it. Raises OSError."""
    count = NodeCount()
    for path in paths:
        if path != STANDARD_INPUT and path.is_file():
            _count_file(path, count, advance, note, as_of)
    return count


def _count_file(
    path: Path,
    count: NodeCount,
    advance: Callable[[Path, int], None],
    note: Callable[[str], None],
    as_of: datetime | None,
) -> None:
    with opened(path, note) as file:
        try:
            for part in parts_of(file):
                if isinstance(part, Part):
                    lines = lines_of(part.stream, advance=lambda size: advance(path, size))
                    _count_log(read_log(lines, as_of=as_of), count)
        except UnreadableFileError:
            return  # the import says so


def _count_log(log: Iterable[LogItem], count: NodeCount) -> None:
    try:
        for item in log:
            if isinstance(item, LoggedEvent):
                count.add_event(item.event)
            elif isinstance(item, OtherDocument):
                _count_document(item.raw, count)
    except (UnreadableFileError, BarrenError):
        return  # the import says so


def _count_document(raw: bytes, count: NodeCount) -> None:
    try:
        document = read_document(raw)
        for text, of_list in () if document.manifests else node_texts(raw, document):
            node = read_node(text, of_list)
            if node is not None:
                count.add_listed(node)
            elif (pod := read_pod(text)) is not None:
                count.add_pod(pod)
    except (*UNREADABLE, NoPodError):
        return  # the import keeps it as a reject
