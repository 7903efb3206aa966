"""What the nodes are told at their first start: nodeadm's NodeConfig, for Amazon Linux 2023.

Source: awslabs/amazon-eks-ami, nodeadm's API reference. EKS merges it with its own part.
"""

import base64
from typing import Any

import msgspec

from driver.eks_plan import EksPlan, Snapshotter

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
        # The table's name in containerd 2; nodeadm merges it with its own.
        images = f'[plugins."io.containerd.cri.v1.images"]\nmax_concurrent_downloads = {plan.layer_downloads}\n'
        spec["containerd"] = {"config": images}
    if plan.local_ssd:
        spec["instance"] = {"localStorage": {"strategy": "RAID0"}}
    return spec
