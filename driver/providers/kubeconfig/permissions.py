"""What an API server forbids, as the RBAC rule that would allow it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from driver.errors import ProviderError
from pullstudy.kube.errors import ApiError, KubeError

FORBIDDEN = 403
# Source: apiserver ``ForbiddenMessage``: User "x" cannot VERB resource "R" in API group "G" [in the namespace "N"].
_SAID = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]*)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)")?'
)


def missing_rule(message: str) -> str | None:
    """The rule, in one line of YAML; None where the message is of another kind."""
    said = _SAID.search(message)
    if said is None:
        return None
    where = f"a Role in namespace {said['namespace']}" if said["namespace"] else "a ClusterRole"
    rule = f'{{apiGroups: ["{said["group"]}"], resources: ["{said["resource"]}"], verbs: ["{said["verb"]}"]}}'
    return f"user {said['user']} needs {where} with the rule {rule}"


@contextmanager
def provider_errors() -> Iterator[None]:
    """KubeError as ProviderError, and a refusal with the rule that would allow it."""
    try:
        yield
    except KubeError as error:
        forbidden = isinstance(error, ApiError) and error.status == FORBIDDEN
        rule = missing_rule(str(error)) if forbidden else None
        raise ProviderError(rule or str(error)) from error
