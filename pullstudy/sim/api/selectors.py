"""Label and field selectors, as they stand in a query string."""

import re
from collections.abc import Callable, Mapping, Sequence

Match = Callable[[Mapping[str, str]], bool]

_SET = re.compile(r"\s*(\S+)\s+(in|notin)\s+\(([^)]*)\)\s*")
_EQUAL = re.compile(r"\s*([^\s=!]+)\s*(==|=|!=)\s*([^\s=!]*)\s*")
_EXISTS = re.compile(r"\s*(!?)\s*([^\s=!]+)\s*")


class SelectorError(ValueError):
    """A selector that the API server would refuse with 400."""


def parse_labels(text: str) -> Match | None:
    """A test of an object's labels, or None where everything matches. Raises SelectorError."""
    tests = [_label_test(term) for term in _terms(text)]
    return _all_of(tests)


def parse_fields(text: str, known: Sequence[str]) -> Callable[[Sequence[str]], bool] | None:
    """A test of an object's selectable fields, whose values come in the order of ``known``.

    Raises SelectorError for a field that is not known.
    """
    wanted = [_field_term(term, known) for term in _terms(text)]
    if not wanted:
        return None
    return lambda values: all((values[at] == value) is equal for at, value, equal in wanted)


def _all_of(tests: list[Match]) -> Match | None:
    if not tests:
        return None
    return tests[0] if len(tests) == 1 else lambda values: all(test(values) for test in tests)


def _terms(text: str) -> list[str]:
    # A comma inside the parentheses of "in (a,b)" does not part two terms.
    return [term for term in re.split(r",(?![^()]*\))", text) if term.strip()]


def _label_test(term: str) -> Match:
    if match := _SET.fullmatch(term):
        key, operator, listed = match.groups()
        wanted = frozenset(value.strip() for value in listed.split(","))
        if operator == "in":
            return lambda labels: labels.get(key) in wanted
        return lambda labels: labels.get(key) not in wanted
    if match := _EQUAL.fullmatch(term):
        return _equality(*match.groups())
    if match := _EXISTS.fullmatch(term):
        absent, key = bool(match[1]), match[2]
        return lambda labels: (key in labels) != absent
    raise SelectorError(f"unable to parse requirement: {term}")


def _field_term(term: str, known: Sequence[str]) -> tuple[int, str, bool]:
    """Which field, its value, and whether it has to be that or must not be."""
    match = _EQUAL.fullmatch(term)
    if not match:
        raise SelectorError(f"invalid field selector: {term}")
    if match[1] not in known:
        raise SelectorError(f'field label not supported: "{match[1]}"')
    return known.index(match[1]), match[3], match[2] != "!="


def _equality(key: str, operator: str, value: str) -> Match:
    if operator == "!=":
        return lambda values: values.get(key, "") != value
    return lambda values: values.get(key, None if value else "") == value


def matches(selector: Mapping[str, object], labels: Mapping[str, str]) -> bool:
    """Does a LabelSelector object (matchLabels, matchExpressions) match these labels?"""
    wanted = selector.get("matchLabels") or {}
    assert isinstance(wanted, Mapping)
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    expressions = selector.get("matchExpressions") or []
    assert isinstance(expressions, list)
    return all(expression_matches(expression, labels) for expression in expressions)


def expression_matches(expression: Mapping[str, object], labels: Mapping[str, str]) -> bool:
    """One of ``matchExpressions``: In, NotIn, Exists, DoesNotExist, Gt, Lt."""
    value = labels.get(str(expression.get("key")))
    values = expression.get("values") or []
    assert isinstance(values, list)
    match expression.get("operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            return _compared(operator, value, values)
    return False


def _compared(operator: str, value: str | None, values: list[str]) -> bool:
    """Whether both are numbers, and the label's is greater or less."""
    if value is None or not values or not _is_number(value) or not _is_number(values[0]):
        return False
    return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?[0-9]{1,18}", text) is not None
