"""The kubeconfig that leads any client to the simulator."""

from pathlib import Path

import msgspec

from pullstudy.atomic_file import write_file


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
    # JSON is YAML.
    write_file(path, msgspec.json.format(msgspec.json.encode(document)) + b"\n", mode=0o600)
