"""The numbers of the model, each with its unit, its default and where it comes from.

Defaults are the cluster of the study (EKS, c5a.4xlarge, 150 GB gp2). docs/sim-model.md shows the fit.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any

import msgspec

MB = 1_000_000
GB = 1_000_000_000


@dataclass(frozen=True)
class RegistryParameters:
    """The registry and the way to it."""

    egress_bytes_per_second: float = 12.5 * GB  # shared by all nodes: 100 Gbit/s; the logs never reach it (not fitted)
    resolve_seconds: float = 0.46  # token and manifest; fitted (ghcr.io from EKS), what is left of the 1.2 GB images
    layer_latency_seconds: float = 0.095  # one layer's request until its first byte; fitted on 125 layers (GKE)
    latency_sigma: float = 0.06  # spread of the above, log-normal; spread of the 48 MB images' durations
    streamed_seconds: float | None = None  # a pull where nodes mount images and read their bytes later; None: they pull
    requests_per_second: float | None = None  # tokens and manifests, two a pull; pulls over it are refused; None: none
    burst_requests: float = 250.0  # as many at once besides; at 256 nodes of EKS 139 pods were refused, at 128 none


@dataclass(frozen=True)
class NetworkParameters:
    """One node's link."""

    bytes_per_second: float = 1.25 * GB  # c5a.4xlarge: up to 10 Gbit/s (EC2 documentation); not reached by the study
    parallel_downloads: int = 3  # layers at once: containerd's max_concurrent_downloads


@dataclass(frozen=True)
class VolumeParameters:
    """A node's disk behind the page cache (Linux ``vm.dirty_ratio`` 20, ``vm.dirty_background_ratio`` 10)."""

    unpack_bytes_per_second: float = 358 * MB  # decompress and write to the page cache, one layer after another; fitted
    write_bytes_per_second: float = 132 * MB  # fitted; gp2 up to 170 GiB gives 128 MiB/s = 134.2 MB/s
    dirtyable_bytes: float = 30.0 * GB  # memory that may be dirty at most 20 %; fitted, the node has 33.3 GB
    dirty_ratio: float = 0.20  # Linux's default
    dirty_background_ratio: float = 0.10  # Linux's default
    dirty_expire_seconds: float = 30.0  # vm.dirty_expire_centisecs: no page stays dirty for longer
    commit_seconds: float = 0.002  # end of a layer (snapshot and metadata); 125 layers of 2.8 GB cost 0.7 s more than 9
    busy_commit_seconds: float = 0.17  # the same while the volume writes back; 125 against 9 layers, 11-19 GB (GKE)
    commit_bytes_per_second: float | None = None  # a layer smaller than this for so long commits in less; None: in none
    decompress_bytes_per_second: float | None = None  # of compressed bytes, beside the unpacking; None: takes no time
    sigma: float = 0.006  # spread between pulls of one image, log-normal: the durations of the 19 GB image


@dataclass(frozen=True)
class KubeletTimes:
    """From a pod's binding to its end, without the pull."""

    sandbox_seconds: float = 0.42  # binding seen, sandbox and network made: Scheduled to Pulling
    sandbox_sigma: float = 0.03  # spread of the above, relative
    slow_sandbox_probability: float = 0.04  # some take longer: a mount or the network plugin
    slow_sandbox_seconds: float = 1.2  # by so much at the most, half as long again
    create_seconds: float = 0.014  # Pulled to Created
    start_seconds: float = 0.045  # Created to Started
    busy_create_seconds: float = 0.37  # the same while the volume is writing back (EKS)
    busy_start_seconds: float = 0.30  # the same while the volume is writing back (EKS)
    end_seconds: float = 0.0  # the program's end until the runtime reports it, beside the write-back (EKS: none seen)
    relist_seconds: float = 1.0  # the kubelet looks at its containers once a second (PLEG)
    status_seconds: float = 0.05  # a change of status until it is in the API
    deletion_seconds: float = 1.0  # a deleted pod until it is gone; not in the logs
    image_report_seconds: float = 10.0  # node.status.images is brought up to date this often


@dataclass(frozen=True)
class KubeletSettings:
    """What /configz shows. The defaults are those of both clusters of the logs where they differ from upstream's."""

    serialize_image_pulls: bool = False  # two pods of a node reported pulls at once, with no waiting, in both logs
    max_parallel_image_pulls: int | None = None  # no limit
    registry_pull_qps: float = 5.0  # upstream's; a pull over it fails with "pull QPS exceeded"
    registry_burst: int = 10  # upstream's
    event_record_qps: float = 50.0  # from 1.27 on
    event_burst: int = 100  # from 1.27 on
    back_off_seconds: float = 10.0  # after the first failure of a pod's image, doubling
    back_off_max_seconds: float = 300.0  # upstream's
    resync_seconds: float = 12.0  # a pod that waits for an image is looked at this often: each look is a BackOff event


@dataclass(frozen=True)
class ControlPlaneSettings:
    """Controllers and API server."""

    api_seconds: float = 0.035  # one request; SuccessfulCreate events of 16 pods (5 batches) lie 0.14-0.22 s apart
    controller_qps: float = 20.0  # kube-controller-manager --kube-api-qps, each controller for itself
    controller_burst: int = 30  # --kube-api-burst
    job_calls_per_pod: int = 1  # of the job controller at the start (create) and again at the end (finalizer)
    collector_calls_per_pod: int = 2  # of the garbage collector: it reads a pod anew before it deletes it
    job_sync_seconds: float = 1.0  # pod changes are gathered for a second before a job is looked at
    scheduler_pods_per_second: float = 100.0  # not reached: pods are created more slowly
    unschedulable_retry_seconds: float = 300.0  # the scheduler looks anew at the latest then
    event_seconds: float = 3600.0  # --event-ttl


@dataclass(frozen=True)
class StragglerParameters:
    """Pulls whose download takes longer for no reason seen; the disk is as fast as ever."""

    probability: float = 0.003  # of a pull; run3 has 1 in 304 (66 MB, 125 layers: 11.7 s beside 5.8 s)
    slowdown: float = 2.0  # that one's


@dataclass(frozen=True)
class SpreadParameters:
    """How much pulls, jobs, clusters and nodes differ beside the spreads above. Log-normal."""

    pull_sigma: float = 0.0  # between pulls: registry, link and unpacking; a volume keeps its rate
    job_sigma: float = 0.0  # the same, between jobs
    cluster_sigma: float = 0.0  # the same, between clusters: days differ
    node_sigma: float = 0.0  # between nodes: what their volumes write and unpack


@dataclass(frozen=True)
class ModelParameters:
    registry: RegistryParameters = field(default_factory=RegistryParameters)
    network: NetworkParameters = field(default_factory=NetworkParameters)
    volume: VolumeParameters = field(default_factory=VolumeParameters)
    times: KubeletTimes = field(default_factory=KubeletTimes)
    kubelet: KubeletSettings = field(default_factory=KubeletSettings)
    control: ControlPlaneSettings = field(default_factory=ControlPlaneSettings)
    stragglers: StragglerParameters = field(default_factory=StragglerParameters)
    spread: SpreadParameters = field(default_factory=SpreadParameters)


EKS = ModelParameters()
GKE = replace(
    EKS,
    volume=VolumeParameters(
        unpack_bytes_per_second=190 * MB,
        write_bytes_per_second=410 * MB,
        dirtyable_bytes=60 * GB,  # not in the logs: what expires after 30 s is written before the ratio is met
        busy_commit_seconds=0.17,
        sigma=0.012,
    ),
    registry=replace(EKS.registry, resolve_seconds=0.15),  # a registry in the same cloud
    times=replace(EKS.times, end_seconds=1.1, busy_create_seconds=0.01, busy_start_seconds=0.06),
)

# Fitted on all logs of tests/data that are of such nodes. docs/sim-model.md has the intervals, the errors for what a
# fit has not seen, and what no log tells.
EKS_GP2 = replace(
    EKS,
    registry=replace(
        EKS.registry,
        resolve_seconds=0.258,
        layer_latency_seconds=0.104,
        latency_sigma=0.011,
        requests_per_second=20.0,  # with the burst: at 256 nodes some pods of a job are refused, at 128 none
    ),
    volume=replace(
        EKS.volume,
        unpack_bytes_per_second=359 * MB,
        write_bytes_per_second=131 * MB,
        dirtyable_bytes=29.1 * GB,
        commit_seconds=0.0176,
        busy_commit_seconds=0.275,
        commit_bytes_per_second=317 * MB,
        decompress_bytes_per_second=80 * MB,  # usual
    ),
    spread=SpreadParameters(pull_sigma=0.039, job_sigma=0.044, cluster_sigma=0.015, node_sigma=0.004),
)
GKE_LOCAL_SSD = replace(
    GKE,
    volume=replace(
        GKE.volume,
        unpack_bytes_per_second=193 * MB,
        write_bytes_per_second=410 * MB,  # usual: no image waits for the volume
        dirtyable_bytes=49.1 * GB,
        commit_seconds=0.0079,
        busy_commit_seconds=0.188,
        decompress_bytes_per_second=80 * MB,  # usual
    ),
    registry=replace(GKE.registry, resolve_seconds=0.114, layer_latency_seconds=0.0965, latency_sigma=0.106),
    spread=SpreadParameters(pull_sigma=0.049, job_sigma=0.036, cluster_sigma=0.05, node_sigma=0.024),
)
GKE_PD = replace(
    GKE_LOCAL_SSD,
    volume=replace(
        GKE_LOCAL_SSD.volume,
        unpack_bytes_per_second=189 * MB,
        write_bytes_per_second=125 * MB,
        dirtyable_bytes=13.8 * GB,
        decompress_bytes_per_second=40.3 * MB,  # of four applications, whose layers are not known
    ),
    registry=replace(GKE_LOCAL_SSD.registry, latency_sigma=0.163),
    spread=SpreadParameters(pull_sigma=0.035, job_sigma=0.187, cluster_sigma=0.04, node_sigma=0.148),
)
GKE_STREAMING = replace(
    GKE_PD,
    registry=replace(GKE_PD.registry, streamed_seconds=1.24, latency_sigma=0.049),
    spread=SpreadParameters(pull_sigma=0.015, job_sigma=0.01, cluster_sigma=0.022, node_sigma=0.007),
)
PROFILES: dict[str, ModelParameters] = {
    "eks": EKS,
    "eks-gp2": EKS_GP2,
    "gke-pd": GKE_PD,
    "gke-local-ssd": GKE_LOCAL_SSD,
    "gke-streaming": GKE_STREAMING,
    "gke": GKE,
}


Changes = Mapping[str, Mapping[str, float | int | bool | None]]  # by group and name


class ParametersError(ValueError):
    """A change of no parameter, or to a value of another kind. ``str()`` is one line."""


def override(parameters: ModelParameters, changes: Changes) -> ModelParameters:
    """The parameters with these changed. Raises ParametersError."""
    groups = [entry.name for entry in fields(parameters)]
    for name in changes:
        _check_known(name, groups, "the model has no group")
    changed = {name: _changed(name, getattr(parameters, name), values) for name, values in changes.items()}
    return replace(parameters, **changed)


def _changed(name: str, group: Any, values: Mapping[str, Any]) -> Any:
    known = msgspec.to_builtins(group)
    for parameter, value in values.items():
        _check_known(parameter, known, f"{name} has no parameter")
        _check_range(name, parameter, value)
    try:
        return msgspec.convert({**known, **values}, type(group))
    except msgspec.ValidationError as error:
        raise ParametersError(f"{name}: {error}") from error


def _check_range(group: str, parameter: str, value: float | None) -> None:
    """Nothing is below zero, and no rate is zero: a model with one would never end."""
    rate = parameter.endswith(("_per_second", "_qps"))
    if value is not None and (value < 0 or (rate and value == 0)):
        raise ParametersError(f"{group}: {parameter} {value}: {'above 0' if rate else '0 or more'}")


def _check_known(word: str, known: Collection[str], complaint: str) -> None:
    if word not in known:
        near = get_close_matches(word, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
        raise ParametersError(f"{complaint} {word!r}: {hint}")


def accelerated(parameters: ModelParameters, factor: float) -> ModelParameters:
    """The same cluster with every duration divided by ``factor`` and every rate times it: for use in real time."""
    groups = {entry.name: getattr(parameters, entry.name) for entry in fields(parameters)}
    return replace(parameters, **{name: _accelerated(group, factor) for name, group in groups.items()})


def _accelerated(group: Any, factor: float) -> Any:
    changed: dict[str, float] = {}
    for entry in fields(group):
        value = getattr(group, entry.name)
        if value is None:
            continue
        if entry.name.endswith("_seconds"):
            changed[entry.name] = value / factor
        elif entry.name.endswith(("_per_second", "_qps")):
            changed[entry.name] = value * factor
    return replace(group, **changed)
