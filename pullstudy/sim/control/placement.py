"""Which nodes a pod may go to: the scheduler's filters for readiness, affinity, anti-affinity and topology spread.

Source: kubernetes ``pkg/scheduler/framework/plugins``. How many matching pods each domain holds is kept up to date, not
counted anew for each pod.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import msgspec

from pullstudy.sim.api import selectors

Json = dict[str, Any]

MAX_PODS = 110
_NOT_APART = "node(s) didn't match pod anti-affinity rules"


class _DomainCount:
    """Matching, living pods in each value of a topology key."""

    def __init__(self, namespace: str, selector: Json, topology_key: str) -> None:
        self.namespace = namespace
        self.selector = selector
        self.topology_key = topology_key
        self.pods: Counter[str] = Counter()
        self.taken: set[str] = set()  # values with a pod
        self.turned: list[str] = []  # values that came to be taken or ceased to, in their order
        self.total = 0
        self._untaken: _Untaken | None = None

    def add(self, value: str, change: int) -> None:
        self.pods[value] += change
        self.total += change
        if (self.pods[value] > 0) is (value not in self.taken):
            self.taken ^= {value}
            self.turned.append(value)

    def untaken(self, fitting: "_Fitting") -> "_Untaken":
        """The nodes among these that no matching pod has taken."""
        if self._untaken is None or self._untaken.fitting is not fitting:
            self._untaken = _Untaken(fitting, self)
        self._untaken.catch_up()
        return self._untaken

    def matches(self, pod: Json) -> bool:
        meta = pod["metadata"]
        return meta["namespace"] == self.namespace and selectors.matches(self.selector, meta.get("labels") or {})


@dataclass(frozen=True)
class _Traits:
    """What of a node decides which pods it takes."""

    labels: dict[str, str]
    taints: list[Json]
    unschedulable: bool

    @classmethod
    def of(cls, node: Json) -> "_Traits":
        spec = node["spec"]
        labels = dict(node["metadata"].get("labels") or {})
        return cls(labels, list(spec.get("taints") or ()), bool(spec.get("unschedulable")))

    def unfit(self, pod: Json) -> str | None:
        """Why the pod cannot be here, whoever else is."""
        if self.unschedulable:
            return "node(s) were unschedulable"
        for taint in self.taints:
            if taint["effect"] != "PreferNoSchedule" and not _tolerated(taint, pod):
                return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
        wanted = pod["spec"].get("nodeSelector") or {}
        if any(self.labels.get(key) != value for key, value in wanted.items()) or not _affine(pod, self.labels):
            return "node(s) didn't match Pod's node affinity/selector"
        return None


class _Fitting:
    """Nodes that will do for pods of one kind, with their labels, and how many were refused for which reason."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.labels: dict[str, dict[str, str]] = {}
        self.refusals: Counter[str] = Counter()
        self._values: dict[str, dict[str, str | None]] = {}

    def values(self, key: str) -> dict[str, str | None]:
        """The value of one label by node."""
        if key not in self._values:
            self._values[key] = {name: labels.get(key) for name, labels in self.labels.items()}
        return self._values[key]


class _Untaken(Sequence[str]):
    """Those fitting nodes, in their order, on whose value of a topology key no matching pod is.

    Brought up to date by what has turned since it was last asked for: of thousands of nodes each pod takes one.
    """

    def __init__(self, fitting: _Fitting, count: _DomainCount) -> None:
        self.fitting = fitting
        self._names = fitting.names
        self._count = count
        self._places: dict[str, list[int]] = {}
        for place, value in enumerate(fitting.values(count.topology_key).values()):
            if value is not None:
                self._places.setdefault(value, []).append(place)
        free = (places for value, places in self._places.items() if value not in count.taken)
        self._free = sorted(place for places in free for place in places)
        self._turned = len(count.turned)

    def __len__(self) -> int:
        return len(self._free)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...
    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        if isinstance(at, slice):
            return [self._names[place] for place in self._free[at]]
        return self._names[self._free[at]]

    def catch_up(self) -> None:
        turned = self._count.turned
        for value in turned[self._turned :]:
            for place in self._places.get(value, ()):
                at = bisect_left(self._free, place)
                if at < len(self._free) and self._free[at] == place:
                    del self._free[at]
                else:
                    self._free.insert(at, place)
        self._turned = len(turned)


class Placement:
    """The nodes' labels and what runs where. Nodes and pods are told to it; it asks nobody."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Traits] = {}
        self._running: dict[str, dict[str, Json]] = {}  # node, pod uid
        self._full: set[str] = set()  # nodes with as many pods as they take
        self._counts: dict[bytes, _DomainCount] = {}
        self._fitting: dict[bytes, _Fitting] = {}

    def node_changed(self, node: Json) -> None:
        name = node["metadata"]["name"]
        traits = _Traits.of(node)
        if self._nodes.get(name) != traits:
            self._nodes[name] = traits
            self._fitting.clear()
        self._running.setdefault(name, {})

    def node_gone(self, name: str) -> None:
        self._nodes.pop(name, None)
        self._fitting.clear()

    def occupy(self, pod: Json, name: str) -> None:
        running = self._running[name]
        running[pod["metadata"]["uid"]] = pod
        if len(running) >= MAX_PODS:
            self._full.add(name)
        self._count(pod, name, 1)

    def release(self, pod: Json) -> bool:
        """The pod has ended or is gone. Was it on a node until now?"""
        name = pod["spec"].get("nodeName", "")
        if self._running.get(name, {}).pop(pod["metadata"]["uid"], None) is None:
            return False
        self._full.discard(name)
        self._count(pod, name, -1)
        return True

    def _count(self, pod: Json, name: str, change: int) -> None:
        labels = self._labels(name)
        for key, count in list(self._counts.items()):
            if count.matches(pod) and count.topology_key in labels:
                count.add(labels[count.topology_key], change)
                if not count.total:
                    del self._counts[key]

    def _labels(self, name: str) -> dict[str, str]:
        node = self._nodes.get(name)
        return node.labels if node else {}

    def _counter(self, namespace: str, selector: Json, topology_key: str) -> _DomainCount:
        key = msgspec.json.encode([namespace, topology_key, selector])
        found = self._counts.get(key)
        if found is None:
            found = self._counts[key] = _DomainCount(namespace, selector, topology_key)
            for name, running in self._running.items():
                value = self._labels(name).get(topology_key)
                if value is not None:
                    found.add(value, sum(found.matches(pod) for pod in running.values()))
        return found

    def feasible(self, pod: Json) -> tuple[Sequence[str], Counter[str]]:
        """Names of the nodes that will do, and, for those that will not, how many were refused for which reason."""
        fitting = self._fitting_nodes(pod)
        names: Sequence[str] = fitting.names
        refusals = Counter(fitting.refusals)
        apart, spread = self._anti_affinity(pod), self._spread(pod)
        if len(apart) == 1 and not spread:
            names = apart.pop().untaken(fitting)
            if len(names) < len(fitting.names):
                refusals[_NOT_APART] += len(fitting.names) - len(names)
        for key, full, why in [*((count.topology_key, count.taken, _NOT_APART) for count in apart), *spread]:
            values = fitting.values(key)
            left = [name for name in names if (value := values[name]) is not None and value not in full]
            if len(left) < len(names):
                refusals[why] += len(names) - len(left)
            names = left
        free = [name for name in names if name not in self._full] if self._full else names
        if len(free) < len(names):
            refusals["Too many pods"] += len(names) - len(free)
        return free, refusals

    def _fitting_nodes(self, pod: Json) -> "_Fitting":
        """The nodes that pass whatever does not depend on other pods; found once for all pods that ask the same."""
        spec = pod["spec"]
        affinity = (spec.get("affinity") or {}).get("nodeAffinity")
        key = msgspec.json.encode([spec.get("nodeSelector"), affinity, spec.get("tolerations")])
        found = self._fitting.get(key)
        if found is None:
            found = self._fitting[key] = _Fitting()
            for name, node in self._nodes.items():
                reason = node.unfit(pod)
                if reason is None:
                    found.labels[name] = node.labels
                else:
                    found.refusals[reason] += 1
            found.names = list(found.labels)
        return found

    def _anti_affinity(self, pod: Json) -> list[_DomainCount]:
        affinity = (pod["spec"].get("affinity") or {}).get("podAntiAffinity") or {}
        return [
            self._counter(pod["metadata"]["namespace"], term.get("labelSelector") or {}, term["topologyKey"])
            for term in affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        ]

    def _spread(self, pod: Json) -> list[tuple[str, set[str], str]]:
        tests = []
        for constraint in pod["spec"].get("topologySpreadConstraints") or ():
            if constraint.get("whenUnsatisfiable", "DoNotSchedule") != "DoNotSchedule":
                continue
            key = constraint["topologyKey"]
            count = self._counter(pod["metadata"]["namespace"], constraint.get("labelSelector") or {}, key)
            domains = {value for node in self._nodes.values() if (value := node.labels.get(key)) is not None}
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
