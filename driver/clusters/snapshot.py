"""The nodes of a cluster, saved as served: the form of ``kubectl get nodes -o json``."""

from pathlib import Path


def save_nodes(directory: Path, cluster: str, nodes_json: bytes) -> Path:
    """``<directory>/nodes/nodes-<cluster>.json``, whole or not at all. Raises OSError."""
    path = directory / "nodes" / f"nodes-{cluster}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_bytes(nodes_json)
    partial.replace(path)
    return path
