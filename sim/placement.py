"""Which nodes a pod may go to: the scheduler's filters for readiness, affinity, anti-affinity and topology spread.

Source: kubernetes ``pkg/scheduler/framework/plugins``. How many matching pods each domain holds is kept up to date, not
counted anew for each pod.
"""

from collections import Counter
from typing import Any

import msgspec

from sim import selectors

Json = dict[str, Any]

MAX_PODS = 110


class _DomainCount:
    """Matching, living pods in each value of a topology key."""

    def __init__(self, namespace: str, selector: Json, topology_key: str) -> None:
        self.namespace = namespace
        self.selector = selector
        self.topology_key = topology_key
        self.pods: Counter[str] = Counter()

    def matches(self, pod: Json) -> bool:
        meta = pod["metadata"]
        return meta["namespace"] == self.namespace and selectors.matches(self.selector, meta.get("labels") or {})


class Placement:
    """The nodes' labels and what runs where. Nodes and pods are told to it; it asks nobody."""

    def __init__(self) -> None:
        self._nodes: dict[str, Json] = {}
        self._running: dict[str, dict[str, Json]] = {}  # node, pod uid
        self._counts: dict[bytes, _DomainCount] = {}

    def node_changed(self, node: Json) -> None:
        self._nodes[node["metadata"]["name"]] = node
        self._running.setdefault(node["metadata"]["name"], {})

    def node_gone(self, name: str) -> None:
        self._nodes.pop(name, None)

    def occupy(self, pod: Json, name: str) -> None:
        self._running[name][pod["metadata"]["uid"]] = pod
        self._count(pod, name, 1)

    def release(self, pod: Json) -> bool:
        """The pod has ended or is gone. Was it on a node until now?"""
        name = pod["spec"].get("nodeName", "")
        if self._running.get(name, {}).pop(pod["metadata"]["uid"], None) is None:
            return False
        self._count(pod, name, -1)
        return True

    def _count(self, pod: Json, name: str, change: int) -> None:
        labels = self._labels(name)
        for key, count in list(self._counts.items()):
            if count.matches(pod) and count.topology_key in labels:
                count.pods[labels[count.topology_key]] += change
                if change < 0 and not +count.pods:
                    del self._counts[key]

    def _labels(self, name: str) -> dict[str, str]:
        node = self._nodes.get(name)
        return (node["metadata"].get("labels") or {}) if node else {}

    def _counter(self, namespace: str, selector: Json, topology_key: str) -> _DomainCount:
        key = msgspec.json.encode([namespace, topology_key, selector])
        found = self._counts.get(key)
        if found is None:
            found = self._counts[key] = _DomainCount(namespace, selector, topology_key)
            for name, running in self._running.items():
                value = self._labels(name).get(topology_key)
                if value is not None:
                    found.pods[value] += sum(found.matches(pod) for pod in running.values())
        return found

    def feasible(self, pod: Json) -> tuple[list[str], Counter[str]]:
        """Names of the nodes that will do, and, for those that will not, how many were refused for which reason."""
        refusals: Counter[str] = Counter()
        tests = [*self._anti_affinity(pod), *self._spread(pod)]
        names = []
        for name, node in self._nodes.items():
            reason = self._unfit(node, pod, name)
            if reason is None:
                labels = node["metadata"].get("labels") or {}
                reason = next((why for key, full, why in tests if labels.get(key) is None or labels[key] in full), None)
            if reason is None:
                names.append(name)
            else:
                refusals[reason] += 1
        return names, refusals

    def _unfit(self, node: Json, pod: Json, name: str) -> str | None:
        spec = node["spec"]
        if spec.get("unschedulable"):
            return "node(s) were unschedulable"
        for taint in spec.get("taints") or ():
            if taint["effect"] != "PreferNoSchedule" and not _tolerated(taint, pod):
                return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
        if len(self._running[name]) >= MAX_PODS:
            return "Too many pods"
        labels = node["metadata"].get("labels") or {}
        wanted = pod["spec"].get("nodeSelector") or {}
        if any(labels.get(key) != value for key, value in wanted.items()) or not _affine(pod, labels):
            return "node(s) didn't match Pod's node affinity/selector"
        return None

    def _anti_affinity(self, pod: Json) -> list[tuple[str, set[str], str]]:
        affinity = (pod["spec"].get("affinity") or {}).get("podAntiAffinity") or {}
        tests = []
        for term in affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ():
            count = self._counter(pod["metadata"]["namespace"], term.get("labelSelector") or {}, term["topologyKey"])
            taken = {value for value, number in count.pods.items() if number > 0}
            tests.append((term["topologyKey"], taken, "node(s) didn't match pod anti-affinity rules"))
        return tests

    def _spread(self, pod: Json) -> list[tuple[str, set[str], str]]:
        tests = []
        for constraint in pod["spec"].get("topologySpreadConstraints") or ():
            if constraint.get("whenUnsatisfiable", "DoNotSchedule") != "DoNotSchedule":
                continue
            key = constraint["topologyKey"]
            count = self._counter(pod["metadata"]["namespace"], constraint.get("labelSelector") or {}, key)
            domains = {
                value
                for node in self._nodes.values()
                if (value := (node["metadata"].get("labels") or {}).get(key)) is not None
            }
            lowest = min((count.pods[value] for value in domains), default=0)
            full = {value for value in domains if count.pods[value] + 1 - lowest > constraint.get("maxSkew", 1)}
            tests.append((key, full, "node(s) didn't match pod topology spread constraints"))
        return tests


def _affine(pod: Json, labels: dict[str, str]) -> bool:
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    return any(
        all(selectors.expression_matches(expression, labels) for expression in term.get("matchExpressions") or ())
        for term in required["nodeSelectorTerms"]
    )


def _tolerated(taint: Json, pod: Json) -> bool:
    for toleration in pod["spec"].get("tolerations") or ():
        if toleration.get("effect") not in (None, "", taint["effect"]):
            continue
        if toleration.get("operator") == "Exists":
            if toleration.get("key") in (None, "", taint["key"]):
                return True
        elif toleration.get("key") == taint["key"] and toleration.get("value", "") == taint.get("value", ""):
            return True
    return False


def unschedulable_message(total: int, refusals: Counter[str]) -> str:
    """As the scheduler words a FailedScheduling event."""
    if not total:
        return "no nodes available to schedule pods"
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(refusals.items()))
    return (
        f"0/{total} nodes are available: {reasons}. preemption: 0/{total} nodes are available:"
        f" {total} No preemption victims found for incoming pod."
    )
