"""What the nodes are told at their first start: nodeadm's NodeConfig, for Amazon Linux 2023.

Source: awslabs/amazon-eks-ami, nodeadm's API reference. EKS merges it with its own part.
"""

import base64
from typing import Any

import msgspec

from driver.planning.eks_plan import EksPlan, Snapshotter

_BOUNDARY = "pullstudy"


def user_data(plan: EksPlan) -> str:
    """Base64 of a MIME document; empty where the AMI's own settings are left as they are."""
    spec = _spec(plan)
    if not spec:
        return ""
    # JSON is YAML.
    config = msgspec.json.encode({"apiVersion": "node.eks.aws/v1alpha1", "kind": "NodeConfig", "spec": spec}).decode()
    parts = (
        "MIME-Version: 1.0",
        f'Content-Type: multipart/mixed; boundary="{_BOUNDARY}"',
        "",
        f"--{_BOUNDARY}",
        "Content-Type: application/node.eks.aws",
        "",
        config,
        f"--{_BOUNDARY}--",
        "",
    )
    return base64.b64encode("\n".join(parts).encode()).decode()


def _spec(plan: EksPlan) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    if plan.snapshotter is Snapshotter.SOCI_PARALLEL:
        spec["featureGates"] = {"FastImagePull": True}
    if plan.layer_downloads:
        spec["containerd"] = {
            "config": f'[plugins."{_images(plan)}"]\nmax_concurrent_downloads = {plan.layer_downloads}\n'
        }
    if plan.local_ssd:
        spec["instance"] = {"localStorage": {"strategy": "RAID0"}}
    return spec


def _images(plan: EksPlan) -> str:
    """The plugin whose table has it. nodeadm merges the table with its own.

    Before Kubernetes 1.33 AMIs may have containerd 1, where nodeadm ends at the name of containerd 2; the older name it
    translates where containerd is 2.
    """
    major, _, minor = plan.kubernetes_version.partition(".")
    older = bool(plan.kubernetes_version) and (int(major), int(minor)) < (1, 33)
    return "io.containerd.grpc.v1.cri" if older else "io.containerd.cri.v1.images"
