"""What clients may write: types and ranges that the simulated controllers rely on, checked first.

Fields that nobody here reads may hold anything, as on a server that keeps unknown fields.
Source: kubernetes ``core/v1``, ``batch/v1`` and ``meta/v1`` types.go and their validation.
"""

from typing import Annotated, Any

import msgspec

from pullstudy.sim.api import status
from pullstudy.sim.api.resources import EVENTS, JOBS, NAMESPACES, NODES, PODS, Resource

Json = dict[str, Any]

_Count = Annotated[int, msgspec.Meta(ge=0, le=100_000)]  # Kubernetes' own limit of an Indexed Job
_Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]
_Natural = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
_Texts = dict[str, str]


class _Shape(msgspec.Struct, frozen=True, rename="camel"):
    """The API's names are the fields' in camelCase; what is null is as if it were not there."""


class _Owner(_Shape, frozen=True):
    kind: str = ""
    name: str = ""
    uid: str = ""


class _Metadata(_Shape, frozen=True):
    name: str | None = None
    generate_name: str | None = None
    namespace: str | None = None
    labels: _Texts | None = None
    annotations: _Texts | None = None
    finalizers: list[str] | None = None
    owner_references: list[_Owner] | None = None
    resource_version: str | None = None
    deletion_timestamp: str | None = None


class _Expression(_Shape, frozen=True):
    key: str
    operator: str
    values: list[str] | None = None


class _Selector(_Shape, frozen=True):
    match_labels: _Texts | None = None
    match_expressions: list[_Expression] | None = None


class _PodTerm(_Shape, frozen=True):
    topology_key: str
    label_selector: _Selector | None = None


class _NodeTerm(_Shape, frozen=True):
    match_expressions: list[_Expression] | None = None


class _NodeSelector(_Shape, frozen=True):
    node_selector_terms: list[_NodeTerm] = []


class _NodeAffinity(_Shape, frozen=True):
    required: _NodeSelector | None = msgspec.field(name="requiredDuringSchedulingIgnoredDuringExecution", default=None)


class _PodAffinity(_Shape, frozen=True):
    required: list[_PodTerm] | None = msgspec.field(name="requiredDuringSchedulingIgnoredDuringExecution", default=None)


class _Affinity(_Shape, frozen=True):
    node_affinity: _NodeAffinity | None = None
    pod_affinity: _PodAffinity | None = None
    pod_anti_affinity: _PodAffinity | None = None


class _Spread(_PodTerm, frozen=True):
    max_skew: _Int32 = 1
    when_unsatisfiable: str = "DoNotSchedule"


class _Toleration(_Shape, frozen=True):
    key: str | None = None
    operator: str | None = None
    value: str | None = None
    effect: str | None = None
    toleration_seconds: _Int32 | None = None


class _Container(_Shape, frozen=True):
    name: str = ""
    image: str = ""
    image_pull_policy: str = "IfNotPresent"
    command: list[str] | None = None
    args: list[str] | None = None


class _PodSpec(_Shape, frozen=True):
    containers: list[_Container] = []
    node_name: str | None = None
    node_selector: _Texts | None = None
    affinity: _Affinity | None = None
    tolerations: list[_Toleration] | None = None
    topology_spread_constraints: list[_Spread] | None = None
    termination_grace_period_seconds: _Natural = 30
    restart_policy: str = "Always"
    active_deadline_seconds: _Natural | None = None
    scheduler_name: str = ""
    service_account_name: str = ""


class _Condition(_Shape, frozen=True):
    type: str
    status: str


class _PodStatus(_Shape, frozen=True):
    phase: str = "Pending"
    conditions: list[_Condition] | None = None


class _Template(_Shape, frozen=True):
    spec: _PodSpec = _PodSpec()
    metadata: _Metadata | None = None


class _JobSpec(_Shape, frozen=True):
    template: _Template = _Template()
    parallelism: _Count | None = None
    completions: _Count | None = None
    backoff_limit: _Natural | None = None
    backoff_limit_per_index: _Natural | None = None
    max_failed_indexes: _Natural | None = None
    active_deadline_seconds: _Natural | None = None
    ttl_seconds_after_finished: _Natural | None = None
    completion_mode: str | None = None
    suspend: bool | None = None


class _Object(_Shape, frozen=True):
    metadata: _Metadata = _Metadata()


class _Pod(_Object, frozen=True):
    spec: _PodSpec = _PodSpec()
    status: _PodStatus | None = None


class _Job(_Object, frozen=True):
    spec: _JobSpec = _JobSpec()
    status: Json | None = None


class _Source(_Shape, frozen=True):
    component: str | None = None
    host: str | None = None


class _Event(_Object, frozen=True):
    involved_object: dict[str, str | int | list[Any] | dict[str, Any] | None] = {}
    reason: str | None = None
    type: str | None = None
    message: str | None = None
    count: _Int32 | None = None
    source: _Source | None = None
    reporting_component: str | None = None


class _Taint(_Shape, frozen=True):
    key: str
    effect: str
    value: str | None = None


class _NodeSpec(_Shape, frozen=True):
    unschedulable: bool | None = None
    taints: list[_Taint] | None = None


class _Node(_Object, frozen=True):
    spec: _NodeSpec = _NodeSpec()


_SHAPES: dict[str, type[_Object]] = {
    EVENTS.store_key: _Event,
    JOBS.store_key: _Job,
    NAMESPACES.store_key: _Object,
    NODES.store_key: _Node,
    PODS.store_key: _Pod,
}


def check_shape(resource: Resource, obj: Any) -> None:
    """Raises ApiFailureError 422."""
    try:
        msgspec.convert(obj, _SHAPES.get(resource.store_key, _Object))
    except (msgspec.ValidationError, RecursionError) as error:
        said, _, place = str(error).partition(" - at `$")
        name = ""
        raise status.invalid(resource.kind, resource.group, name, place.strip("`.") or "object", said) from error
