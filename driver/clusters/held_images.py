"""Which images nodes hold already, by their Node objects in a file: what ``kubectl get node -o json`` prints."""

from pathlib import Path

import msgspec

from driver.clusters.cache import cached_names
from driver.errors import UsageError
from pullstudy.kube.objects import Node

_MOST_BYTES = 256 << 20
_GIVE = "give what kubectl get nodes -o json prints"
_MOST_LISTED = 50  # nodeStatusMaxImages of a kubelet


class HeldImages(msgspec.Struct, frozen=True, kw_only=True):
    """Full names, of images that each of the nodes holds. ``cut``: one lists as many as its kubelet lists at most."""

    nodes: int
    names: frozenset[str]
    cut: bool


class _List(msgspec.Struct, frozen=True):
    items: tuple[Node, ...] | None = None


class _Kind(msgspec.Struct, frozen=True):
    kind: str = ""


def read_held_images(path: Path) -> HeldImages:
    """Of one Node, or of a list of them. Raises UsageError."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UsageError(f"--held {path}: {error.strerror}; {_GIVE}") from error
    if len(text) > _MOST_BYTES:
        raise UsageError(f"--held {path}: more than {_MOST_BYTES >> 20} MiB; give fewer nodes")
    try:
        kind = msgspec.json.decode(text, type=_Kind).kind
        one = (msgspec.json.decode(text, type=Node),) if kind == "Node" else ()
        nodes = one or msgspec.json.decode(text, type=_List).items or ()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            f"--held {path}: no Node objects ({error}); give what kubectl get nodes -o json prints"
        ) from error
    if not nodes:
        raise UsageError(f"--held {path}: no node stands there; {_GIVE}")
    return HeldImages(
        nodes=len(nodes),
        names=frozenset(set.intersection(*(cached_names(node) for node in nodes))),
        cut=any(len(node.status.images or ()) >= _MOST_LISTED for node in nodes),
    )
