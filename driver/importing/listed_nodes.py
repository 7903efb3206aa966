"""Nodes that a file lists, one by one, and what they have in common."""

import msgspec

from driver.clusters.environment import Environment, environment_of

_MOST_NODES = 100_000  # names that are remembered; Kubernetes itself goes to some thousand nodes
_MOST_VALUES = 1_000  # different ones, of kernels or zones


class _Metadata(msgspec.Struct, frozen=True):
    name: str = ""
    labels: dict[str, str] = {}


class _NodeInfo(msgspec.Struct, frozen=True, rename="camel"):
    kubelet_version: str = ""
    container_runtime_version: str = ""
    kernel_version: str = ""
    os_image: str = ""
    architecture: str = ""


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    node_info: _NodeInfo = _NodeInfo()
    capacity: dict[str, str] = {}


class _Node(msgspec.Struct, frozen=True):
    """What is asked of a Node object, of its images nothing."""

    kind: str | None = None
    metadata: _Metadata = _Metadata()
    status: _Status = _Status()


_decode = msgspec.json.Decoder(_Node).decode


class ListedNodes:
    """A node listed twice is one."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._nameless = 0
        self._found = Environment(nodes=0)

    @property
    def count(self) -> int:
        return len(self._names) + self._nameless

    @property
    def environment(self) -> Environment:
        return msgspec.structs.replace(self._found, nodes=self.count)

    def add(self, text: bytes, of_node_list: bool) -> None:
        """Do nothing where it is no node. Raises what UNREADABLE names."""
        kind = _kind(text).kind
        if kind != "Node" and not (of_node_list and kind is None):
            return
        node = _decode(text)
        if node.metadata.name and len(self._names) < _MOST_NODES:
            self._names.add(node.metadata.name[:253])
        elif not node.metadata.name:
            self._nameless += 1
        self._found = _merged(self._found, environment_of([msgspec.to_builtins(node)]))


class _Kind(msgspec.Struct):
    kind: str | None = None


_kind = msgspec.json.Decoder(_Kind).decode


def _merged(one: Environment, other: Environment) -> Environment:
    """The different values of both."""
    changed = {}
    for name in Environment.__struct_fields__:
        known, new = getattr(one, name), getattr(other, name)
        if isinstance(known, tuple) and not set(new) <= set(known):
            changed[name] = tuple(sorted({*known, *new})[:_MOST_VALUES])
    return msgspec.structs.replace(one, **changed) if changed else one
