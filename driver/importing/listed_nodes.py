"""Nodes that a file lists, one by one, and those whose labels its events bring."""

from collections.abc import Mapping

import msgspec

from driver.clusters.environment import DescribedNode, labelled_row, node_row
from pullstudy.store.embedded.ledger import NodeRow

MOST_NODES = 100_000  # names that are remembered; Kubernetes itself goes to some thousand nodes
_LONGEST_NAME = 253

_decode = msgspec.json.Decoder(DescribedNode).decode


class ListedNodes:
    """Of one file. A node listed twice is one; of events the first that brings a node's labels counts."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self._listed: set[str] = set()
        self._told: set[str] = set()
        self._waiting: list[NodeRow] = []

    @property
    def count(self) -> int:
        """Nodes that were listed."""
        return len(self._listed)

    @property
    def waiting(self) -> int:
        """Rows that nobody took yet."""
        return len(self._waiting)

    def taken(self) -> list[NodeRow]:
        """The rows that wait, which now do no longer."""
        taken, self._waiting = self._waiting, []
        return taken

    def add(self, node: DescribedNode) -> None:
        """Of a list."""
        if is_name(node.metadata.name) and len(self._listed) < MOST_NODES:
            self._listed.add(node.metadata.name)
            self._waiting.append(node_row(self._cluster, node))

    def add_labels(self, node: str, labels: Mapping[str, str]) -> None:
        """Of a node that an event is about."""
        if node not in self._told and is_name(node) and len(self._told) < MOST_NODES:
            self._told.add(node)
            self._waiting.append(labelled_row(self._cluster, node, labels))


def is_name(name: str) -> bool:
    """Whether a node can be called so."""
    return 0 < len(name) <= _LONGEST_NAME


class _Kind(msgspec.Struct):
    kind: str | None = None


_kind = msgspec.json.Decoder(_Kind).decode


def read_node(text: bytes, of_node_list: bool) -> DescribedNode | None:
    """None where it is no node; those of a NodeList need not say what they are. Raises what UNREADABLE names."""
    kind = _kind(text).kind
    return _decode(text) if kind == "Node" or (of_node_list and kind is None) else None
