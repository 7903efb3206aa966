"""What the nodes of each cluster were, and where clusters that are compared differ."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pullstudy.store.embedded.ledger import ClusterRow

# What one cluster has more of than another by its size alone, or by node, or what is its name.
_NOT_COMPARED = {"nodes", "configz_node", "configz_problem", "configz.providerID", "provider.eks_cluster"}


def environment_of(row: ClusterRow) -> dict[str, Any]:
    """The environment as flat names and texts; empty where none was saved."""
    saved = json.loads(row.environment) if row.environment else {}
    return dict(_flat("", saved)) if isinstance(saved, dict) else {}


def differences(environments: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """By name, each cluster's value, where those of clusters with an environment are not all the same."""
    known = {cluster: values for cluster, values in environments.items() if values}
    names = dict.fromkeys(name for values in known.values() for name in values)
    found = {}
    for name in names:
        if name in _NOT_COMPARED:
            continue
        by_cluster = {cluster: str(values.get(name, "")) for cluster, values in known.items()}
        if len(set(by_cluster.values())) > 1:
            found[name] = by_cluster
    return found


def _flat(prefix: str, values: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}{name}.", value)
        elif isinstance(value, list):
            yield f"{prefix}{name}", ", ".join(map(str, value))
        elif value is not None:
            yield f"{prefix}{name}", str(value)
