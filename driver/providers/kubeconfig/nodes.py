"""Which nodes of an existing cluster a run gets. Pure."""

from collections.abc import Callable, Iterable

from driver.errors import ProviderError
from driver.planning.study import Study
from pullstudy.kube.objects import Node

RUN_LABEL = "pullstudy.io/run"


def free_nodes(nodes: Iterable[Node], study: Study) -> list[str]:
    """Those that nothing speaks against, by name."""
    against = _against(study).values()
    return sorted(node.metadata.name for node in nodes if not any(speaks(node) for speaks in against))


def choose_nodes(nodes: Iterable[Node], study: Study, size: int) -> list[str]:
    """The first ``size`` of the free ones, so that a larger size contains the smaller. Raises ProviderError."""
    known = list(nodes)
    free = free_nodes(known, study)
    if len(free) >= size:
        return free[:size]
    counts = {what: sum(map(speaks, known)) for what, speaks in _against(study).items()}
    reasons = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    raise ProviderError(
        f"{size} nodes are wanted, and {len(free)} of {len(known)} can be had{': ' if reasons else ''}{reasons};"
        " give smaller --sizes, or kubeconfig.scale_command in study.toml"
    )


def _against(study: Study) -> dict[str, Callable[[Node], bool]]:
    """What keeps a node from being taken, in the words in which it is counted."""
    wanted, named = study.job.node_selector.items(), study.kubeconfig.nodes
    return {
        "not ready": lambda node: not node.ready,
        "not Linux": lambda node: node.status.node_info.get("operatingSystem", "linux") != "linux",
        "not named in kubeconfig.nodes": lambda node: bool(named) and node.metadata.name not in named,
        "without the labels of job.node_selector": lambda node: not wanted <= node.metadata.labels.items(),
        "cordoned or with a taint that job.tolerations lacks": lambda node: not node.takes(study.job.tolerations),
        f"of another run (label {RUN_LABEL}; pulldriver down takes a dead one's off)": lambda node: (
            RUN_LABEL in node.metadata.labels
        ),
    }
