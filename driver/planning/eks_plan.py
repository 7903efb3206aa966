"""``[eks]`` of study.toml: what a cluster on EKS is made of. docs/eks.md explains every key."""

from datetime import date
from enum import StrEnum
from typing import Annotated

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Whole = Annotated[int, msgspec.Meta(ge=0)]
Cost = Annotated[float, msgspec.Meta(ge=0)]


class Mode(StrEnum):
    """What is made anew for each size."""

    PER_SIZE = "per-size"  # all of a cluster, as in the upstream study
    SHARED = "shared"  # its nodes: one control plane serves the whole run, which saves its quarter of an hour a size


class Snapshotter(StrEnum):
    """How a node's runtime downloads and unpacks layers."""

    DEFAULT = "default"  # the AMI's own: overlayfs, layers unpacked one after the other
    SOCI_PARALLEL = "soci-parallel"  # SOCI in parallel pull and unpack mode: nodeadm's feature gate FastImagePull


class Registry(StrEnum):
    """Where the images must lie."""

    ANY = "any"
    SAME_REGION = "same-region"  # in ECR of the cluster's region, else the sweep does not begin


class Volume(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The volume of each node on which its images lie."""

    type: str = "gp2"
    gigabytes: Annotated[int, msgspec.Meta(ge=20)] = 150
    throughput: Whole = 0  # MiB/s, gp3 only; 0: its default of 125
    iops: Whole = 0  # gp3 only; 0: its default of 3,000


class EksPrices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes over the price table; 0 leaves it to the table."""

    node_hour: Cost = 0.0
    control_plane_hour: Cost = 0.0
    volume_gigabyte_month: Cost = 0.0
    address_hour: Cost = 0.0
    as_of: date | None = None


class Patience(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long is waited for AWS."""

    poll_seconds: Seconds = 15.0  # between two looks at something that is being made or deleted
    create_seconds: Seconds = 2400.0  # for each of stack, control plane and node group
    delete_seconds: Seconds = 2400.0
    settle_seconds: Seconds = 60.0  # what was asked for so shortly ago and is not found may yet appear
    retry_seconds: Seconds = 180.0  # a call that is throttled, fails on the server's side or is not answered
    interface_seconds: Seconds = 300.0  # for the nodes' network interfaces to come free
    api_seconds: Seconds = 30.0  # for the cluster's own API, when it is asked for load balancers before the end
    credentials_seconds: Seconds = 60.0  # for new credentials to be laid out, while something is being deleted
    delete_tries: Annotated[int, msgspec.Meta(ge=1)] = 4  # of what ends DELETE_FAILED or is refused


class EksPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The provider's own settings; instance type and region are ``[cluster]``'s ``node_type`` and ``region``."""

    mode: Mode = Mode.PER_SIZE
    kubernetes_version: Annotated[str, msgspec.Meta(pattern=r"^(\d+\.\d+)?$")] = ""  # EKS' own default
    zones: tuple[str, ...] = ()  # of the nodes, at most 3
    placement_group: bool = False  # in one zone at a time, the next one where it has no capacity
    volume: Volume = Volume()
    ami_type: str = "AL2023_x86_64_STANDARD"
    ami_release: str = ""  # the latest
    snapshotter: Snapshotter = Snapshotter.DEFAULT
    layer_downloads: Whole = 0  # layers of one image that containerd downloads at once; 0: the AMI's own number
    local_ssd: bool = False
    registry: Registry = Registry.ANY
    # The quota "Nodes per managed node group". Source: the EKS User Guide's "View and manage service quotas".
    most_nodes: Annotated[int, msgspec.Meta(ge=1)] = 450
    capacity_retries: Whole = 3
    capacity_wait_seconds: Seconds = 300.0
    ttl_hours: Annotated[float, msgspec.Meta(gt=0, le=168)] = 12.0
    owner: str = ""  # the user's name on this machine
    # Of the DaemonSet that removes images: sh, chroot, awk, grep. Docker Hub would throttle hundreds of nodes.
    cleaner_image: str = "public.ecr.aws/docker/library/busybox:1.36"
    tunnel: tuple[str, ...] = ()
    prices: EksPrices = EksPrices()
    patience: Patience = Patience()
