"""Which nodes of an existing cluster a run gets. Pure."""

from collections.abc import Iterable

from driver.errors import ProviderError
from driver.objects import Node
from driver.study import Study

RUN_LABEL = "pullstudy.io/run"


def free_nodes(nodes: Iterable[Node], study: Study) -> list[str]:
    """Those that are ready, bear the study's selector, take its pods and belong to no other run; by name."""
    wanted = study.job.node_selector.items()
    return sorted(
        node.metadata.name
        for node in nodes
        if node.ready
        and wanted <= node.metadata.labels.items()
        and node.takes(study.job.tolerations)
        and RUN_LABEL not in node.metadata.labels
    )


def choose_nodes(nodes: Iterable[Node], study: Study, size: int) -> list[str]:
    """The first ``size`` of the free ones, so that a larger size contains the smaller. Raises ProviderError."""
    known = list(nodes)
    free = free_nodes(known, study)
    if len(free) >= size:
        return free[:size]
    reasons = [text for text in (_say(known, study)) if text]
    why = f": {', '.join(reasons)}" if reasons else ""
    raise ProviderError(
        f"{size} nodes are wanted, and {len(free)} of {len(known)} can be had{why};"
        " give smaller --sizes, or kubeconfig.scale_command in study.toml"
    )


def _say(nodes: list[Node], study: Study) -> Iterable[str]:
    wanted = study.job.node_selector.items()
    counts = {
        "not ready": sum(not node.ready for node in nodes),
        "without the labels of job.node_selector": sum(not wanted <= node.metadata.labels.items() for node in nodes),
        "cordoned or with a taint that job.tolerations lacks": sum(
            not node.takes(study.job.tolerations) for node in nodes
        ),
        f"labelled {RUN_LABEL} by another run (kubectl label nodes --all {RUN_LABEL}- frees them)": sum(
            RUN_LABEL in node.metadata.labels for node in nodes
        ),
    }
    return (f"{count} {what}" for what, count in counts.items() if count)
