"""Patches: JSON patch (RFC 6902), and JSON merge (RFC 7386), also taken for strategic merge: lists are replaced."""

import copy
from typing import Any

from pullstudy.sim.api import status

Json = dict[str, Any]

APPLY_TYPE = "application/apply-patch+yaml"  # kubectl writes it as JSON, which is YAML too
MERGE_TYPES = ("application/merge-patch+json", "application/strategic-merge-patch+json", APPLY_TYPE)
JSON_PATCH_TYPE = "application/json-patch+json"


def apply(obj: Json, patch: Any, content_type: str) -> Json:
    """A changed copy. Raises ApiFailureError 400, 415 or 422."""
    if content_type == JSON_PATCH_TYPE:
        if not isinstance(patch, list):
            raise status.bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
        return _json_patch(copy.deepcopy(obj), patch)
    if content_type not in MERGE_TYPES:
        raise status.unsupported_media_type(content_type)
    if not isinstance(patch, dict):
        raise status.bad_request("error decoding patch: a JSON object is expected")
    merged: Json = merge(copy.deepcopy(obj), patch)
    return merged


def merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def _json_patch(obj: Json, operations: list[Json]) -> Json:
    for operation in operations:
        tokens = [t.replace("~1", "/").replace("~0", "~") for t in str(operation.get("path", "")).split("/")[1:]]
        if not tokens:
            raise status.bad_request("json patch: a path is expected")
        try:
            _operate(obj, tokens, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise status.ApiFailureError(
                422, "Invalid", f"the server rejected our request due to an error in our request: {error!r}"
            ) from error
    return obj


def _operate(obj: Any, tokens: list[str], operation: Json) -> None:
    parent = obj
    for token in tokens[:-1]:
        parent = parent[int(token)] if isinstance(parent, list) else parent[token]
    last = tokens[-1]
    match operation.get("op"):
        case "add" if isinstance(parent, list):
            parent.insert(len(parent) if last == "-" else int(last), operation["value"])
        case "replace" if isinstance(parent, list):
            parent[int(last)] = operation["value"]
        case "add":
            parent[last] = operation["value"]
        case "replace":
            if last not in parent:
                raise KeyError(last)
            parent[last] = operation["value"]
        case "remove" if isinstance(parent, list):
            del parent[int(last)]
        case "remove":
            del parent[last]
        case "test":
            if parent[last] != operation.get("value"):
                raise ValueError("test failed")
        case other:
            raise ValueError(f"operation {other!r} is not served")
