"""The kubectl commands that would grant what is missing."""

import re
import shlex

from collector.sources.scope import Right, Scope

_SERVICE_ACCOUNT = re.compile(r"system:serviceaccount:([^:]+):([^:]+)")
_NO_NAME = re.compile(r"[^a-z0-9-]+")


def grant_commands(right: Right, scope: Scope, user: str) -> str:
    """For who may bind roles. A role holds the verbs that the collector needs on the resource, not only this one."""
    verbs = "get" if right.verb == "get" else "list,watch"
    # Of one namespace a Role can allow everything; kube-system is seen from outside, so that it takes a ClusterRole.
    where = f" --namespace={scope.namespace}" if scope.namespace else ""
    kind = "role" if scope.namespace else "clusterrole"
    role = f"pullstudy-{right.resource}"
    only = f" --resource-name={right.name}" if right.name else ""
    binding = f"{role}-{_NO_NAME.sub('-', user.lower()).strip('-')}"[:63].rstrip("-")
    return (
        f"kubectl create {kind} {role}{where} --verb={verbs} --resource={right.resource}{only}; "
        f"kubectl create {kind}binding {binding}{where} --{kind}={role} {_subject(user)}"
    )


def _subject(user: str) -> str:
    account = _SERVICE_ACCOUNT.fullmatch(user)
    return f"--serviceaccount={account[1]}:{account[2]}" if account else f"--user={shlex.quote(user)}"
