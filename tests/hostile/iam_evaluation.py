"""What IAM answers to a request: identity policies within a boundary, with conditions.

It knows what the policies of deploy/ are written with, and raises ValueError at anything else: an operator that is
passed over would prove nothing. Source: the IAM User Guide's "Policy evaluation logic", "IAM JSON policy elements:
Condition operators", "Multivalued context keys" and "Policy variables". Resource policies, organisations' policies and
session policies are not known, except for a role's trust, which allows whom it names unless a policy denies it.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

Policy = Mapping[str, Any]
Statement = Mapping[str, Any]
Values = Sequence[str]


@dataclass(frozen=True, slots=True)
class Request:
    """One action on one resource; ``context`` has the condition keys that the service gives, lower case."""

    action: str
    resource: str
    context: Mapping[str, Values]


@dataclass(frozen=True, slots=True)
class Verdict:
    """``reason`` names the statement that decided, or why none allows it."""

    allowed: bool
    reason: str


def read_policy(path: Path) -> Policy:
    policy: Policy = json.loads(path.read_text(encoding="utf-8"))
    return policy


def make_context(given: Mapping[str, "str | Values"]) -> dict[str, Values]:
    """Keys are lowered: IAM takes them in any case."""
    return {key.lower(): (value,) if isinstance(value, str) else tuple(value) for key, value in given.items()}


def judge(
    request: Request, policies: Sequence[Policy], *, boundary: Policy | None = None, trusted: bool = False
) -> Verdict:
    """``trusted``: the resource is a role whose trust names the caller itself. Raises ValueError."""
    bounds = [] if boundary is None else [boundary]
    for policy in (*policies, *bounds):
        for statement in _statements(policy, "Deny"):
            if not _why_not(statement, request):
                return Verdict(False, f"denied by {statement['Sid']}")
    if trusted:
        return Verdict(True, "the role's trust names who asks")
    allowed = _allowed(request, policies)
    if allowed.allowed and boundary is not None:
        within = _allowed(request, bounds)
        return allowed if within.allowed else Verdict(False, f"beyond the boundary: {within.reason}")
    return allowed


def _allowed(request: Request, policies: Sequence[Policy]) -> Verdict:
    reasons = []
    for policy in policies:
        for statement in _statements(policy, "Allow"):
            why_not = _why_not(statement, request)
            if not why_not:
                return Verdict(True, f"allowed by {statement['Sid']}")
            if why_not != _OTHER_ACTION:
                reasons.append(f"{statement['Sid']}: {why_not}")
    return Verdict(False, "; ".join(reasons) or "no statement has the action")


def _statements(policy: Policy, effect: str) -> Iterator[Statement]:
    for statement in policy["Statement"]:
        unknown = set(statement) - {"Sid", "Effect", "Action", "Resource", "Condition"}
        if unknown:
            raise ValueError(f"{statement['Sid']}: not known here: {', '.join(unknown)}")
        if statement["Effect"] == effect:
            yield statement


_OTHER_ACTION = "other action"


def _why_not(statement: Statement, request: Request) -> str:
    """Why the statement does not apply; empty: it does."""
    if not any(_like(pattern.lower(), request.action.lower()) for pattern in listed(statement["Action"])):
        return _OTHER_ACTION
    if not any(_like_arn(pattern, request.resource) for pattern in listed(statement["Resource"])):
        return "other resource"
    for operator, keys in statement.get("Condition", {}).items():
        for key, wanted in keys.items():
            if not holds(operator, key, listed(wanted), request.context):
                return f"{operator} {key}"
    return ""


def listed(value: "str | list[str]") -> list[str]:
    return [value] if isinstance(value, str) else value


def holds(operator: str, key: str, wanted: Values, context: Mapping[str, Values]) -> bool:
    """Whether one line of a condition holds. Raises ValueError where the operator is not known here."""
    given = context.get(key.lower())
    quantifier, _, plain = operator.rpartition(":")
    base = plain.removesuffix("IfExists")
    if base == "Null":
        return str(given is None).lower() in wanted
    if base not in _OPERATORS:
        raise ValueError(f"condition operator {operator} is not known here")
    compare, negated = _OPERATORS[base]
    if not given:
        # ForAllValues is true of nothing, ForAnyValue false; a negated operator has nothing that it would not match.
        return quantifier == "ForAllValues" or plain != base or (negated and not quantifier)
    met = [_meets(compare, value, wanted, context) is not negated for value in given]
    if quantifier == "ForAnyValue":
        return any(met)
    if quantifier == "ForAllValues":
        return all(met)
    if quantifier or len(given) > 1:
        raise ValueError(f"{operator} {key}: {len(given)} values need ForAllValues or ForAnyValue")
    return met[0]


def _meets(compare: Callable[[str, str], bool], value: str, wanted: Values, context: Mapping[str, Values]) -> bool:
    for pattern in wanted:
        filled = _filled(pattern, context)
        if filled is not None and compare(filled, value):
            return True
    return False


_VARIABLE = re.compile(r"\$\{([^}]+)\}")
_WILD = str.maketrans({"*": "\0", "?": "\1"})


def _filled(pattern: str, context: Mapping[str, Values]) -> str | None:
    """Policy variables put in, their own wildcards without meaning; None where one has no value: nothing matches it."""
    missing = False

    def value(found: re.Match[str]) -> str:
        nonlocal missing
        values = context.get(found[1].lower(), ())
        missing = missing or len(values) != 1
        return values[0].translate(_WILD) if values else ""

    filled = _VARIABLE.sub(value, pattern)
    return None if missing else filled


def _plain(text: str) -> str:
    return text.replace("\0", "*").replace("\1", "?")


def _like(pattern: str, text: str) -> bool:
    """``*`` and ``?`` are wildcards."""
    return _compiled(pattern).fullmatch(text) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = [{"*": ".*", "?": "."}.get(letter, re.escape(_plain(letter))) for letter in pattern]
    return re.compile("".join(parts), re.DOTALL)


def _like_arn(pattern: str, arn: str) -> bool:
    """Wildcards stay within their part of an ARN, of which the sixth may hold anything."""
    if pattern == "*":
        return True
    parts, given = pattern.split(":", 5), arn.split(":", 5)
    return len(parts) == len(given) and all(_like(*pair) for pair in zip(parts, given, strict=True))


def _equal(pattern: str, text: str) -> bool:
    return _plain(pattern) == text


# Each with whether it is negated.
_OPERATORS: dict[str, tuple[Callable[[str, str], bool], bool]] = {
    "StringEquals": (_equal, False),
    "StringNotEquals": (_equal, True),
    "StringLike": (_like, False),
    "StringNotLike": (_like, True),
    "ArnEquals": (_like_arn, False),
    "ArnLike": (_like_arn, False),
    "ArnNotLike": (_like_arn, True),
    "Bool": (_equal, False),
}
