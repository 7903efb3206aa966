"""The kubeconfig that leads any client to the simulator."""

import os
from pathlib import Path

import msgspec


def write_kubeconfig(path: Path, cluster: str, url: str) -> None:
    """Write it whole or not at all, readable by its owner only. Raises OSError."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": {"server": url}}],
        "users": [{"name": "simulated", "user": {"token": "simulated"}}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": "simulated"}}],
        "current-context": cluster,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    # JSON is YAML.
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(document)) + b"\n")
    draft.chmod(0o600)
    draft.replace(path)
