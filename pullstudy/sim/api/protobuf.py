"""Bodies in Kubernetes' protobuf, in which kubectl sends the kinds that it knows: decoded into the dicts of their JSON.

Source: the envelope of apimachinery's ``runtime/serializer/protobuf`` (``k8s`` and a zero byte, then ``Unknown``),
field numbers of each kind's generated.proto. A field that is none of these is refused: nothing of an order is dropped.
"""

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_VARINT, _BYTES = 0, 2  # wire types

# Of each message: field number -> name and type. A type in a list is repeated; of ``dict`` are maps of text to text.
_TEXT, _NUMBER, _FLAG = "text", "number", "flag"
_MESSAGES: dict[str, dict[int, tuple[str, Any]]] = {
    "TypeMeta": {1: ("apiVersion", _TEXT), 2: ("kind", _TEXT)},
    "ObjectMeta": {
        1: ("name", _TEXT),
        2: ("generateName", _TEXT),
        3: ("namespace", _TEXT),
        11: ("labels", dict),
        12: ("annotations", dict),
    },
    "Namespace": {1: ("metadata", "ObjectMeta")},
    "Job": {1: ("metadata", "ObjectMeta"), 2: ("spec", "JobSpec")},
    "JobSpec": {
        1: ("parallelism", _NUMBER),
        2: ("completions", _NUMBER),
        3: ("activeDeadlineSeconds", _NUMBER),
        6: ("template", "PodTemplateSpec"),
        7: ("backoffLimit", _NUMBER),
        8: ("ttlSecondsAfterFinished", _NUMBER),
        9: ("completionMode", _TEXT),
        10: ("suspend", _FLAG),
    },
    "PodTemplateSpec": {1: ("metadata", "ObjectMeta"), 2: ("spec", "PodSpec")},
    "Pod": {1: ("metadata", "ObjectMeta"), 2: ("spec", "PodSpec")},
    "PodSpec": {
        2: ("containers", ["Container"]),
        3: ("restartPolicy", _TEXT),
        4: ("terminationGracePeriodSeconds", _NUMBER),
        5: ("activeDeadlineSeconds", _NUMBER),
        6: ("dnsPolicy", _TEXT),
        7: ("nodeSelector", dict),
        8: ("serviceAccountName", _TEXT),
        10: ("nodeName", _TEXT),
        11: ("hostNetwork", _FLAG),
        12: ("hostPID", _FLAG),
        13: ("hostIPC", _FLAG),
        19: ("schedulerName", _TEXT),
    },
    "Container": {
        1: ("name", _TEXT),
        2: ("image", _TEXT),
        3: ("command", [_TEXT]),
        4: ("args", [_TEXT]),
        14: ("imagePullPolicy", _TEXT),
        16: ("stdin", _FLAG),
        17: ("stdinOnce", _FLAG),
        18: ("tty", _FLAG),
    },
    "SelfSubjectAccessReview": {1: ("metadata", "ObjectMeta"), 2: ("spec", "AccessReviewSpec")},
    "AccessReviewSpec": {
        1: ("resourceAttributes", "ResourceAttributes"),
        2: ("nonResourceAttributes", "PathAttributes"),
    },
    "ResourceAttributes": {
        1: ("namespace", _TEXT),
        2: ("verb", _TEXT),
        3: ("group", _TEXT),
        4: ("version", _TEXT),
        5: ("resource", _TEXT),
        6: ("subresource", _TEXT),
        7: ("name", _TEXT),
    },
    "PathAttributes": {1: ("path", _TEXT), 2: ("verb", _TEXT)},
    "SelfSubjectRulesReview": {1: ("metadata", "ObjectMeta"), 2: ("spec", "RulesReviewSpec")},
    "RulesReviewSpec": {1: ("namespace", _TEXT)},
    "Unknown": {1: ("typeMeta", "TypeMeta"), 2: ("raw", bytes), 3: ("encoding", _TEXT), 4: ("contentType", _TEXT)},
    "Entry": {1: ("key", _TEXT), 2: ("value", _TEXT)},
}


def decode(body: bytes) -> Json:
    """Raises ValueError."""
    if not body.startswith(_MAGIC):
        raise ValueError("the envelope of Kubernetes' protobuf is expected")
    envelope = _message("Unknown", body[len(_MAGIC) :])
    kind = envelope.get("typeMeta", {})
    if kind.get("kind") not in _MESSAGES:
        raise ValueError(f"{kind.get('kind')} is read as JSON alone")
    return {**kind, **_message(kind["kind"], envelope.get("raw", b""))}


def _message(name: str, data: bytes) -> Json:
    fields = _MESSAGES[name]
    found: Json = {}
    for number, value in _fields(data):
        if value in (0, b"") or not _holds(value):
            continue  # Go's encoder writes what is empty too, such as a status
        if number not in fields:
            raise ValueError(f"field {number} of {name} is read as JSON alone")
        key, kind = fields[number]
        if kind is dict:
            entry = _message("Entry", value)
            found.setdefault(key, {})[entry.get("key", "")] = entry.get("value", "")
        elif isinstance(kind, list):
            found.setdefault(key, []).append(_value(kind[0], value))
        else:
            found[key] = _value(kind, value)
    return found


def _holds(value: int | bytes) -> bool:
    """Whether a message, as far as it is one, has anything in it."""
    if isinstance(value, int):
        return value != 0
    try:
        return any(_holds(inner) for _, inner in _fields(value))
    except ValueError:
        return True  # text


def _value(kind: Any, value: Any) -> Any:
    if kind is bytes:
        return value
    if kind == _TEXT:
        return value.decode()
    if kind in (_NUMBER, _FLAG):
        return bool(value) if kind == _FLAG else value
    return _message(kind, value)


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == _VARINT:
            value, at = _varint(data, at)
            yield key >> 3, value
        elif key & 7 == _BYTES:
            length, at = _varint(data, at)
            if at + length > len(data):
                raise ValueError("a field is longer than the message")
            yield key >> 3, data[at : at + length]
            at += length
        else:
            raise ValueError(f"wire type {key & 7} is in none of these messages")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at
    raise ValueError("a number is cut")
