"""Ids of traces and spans, made from what they are of: a replay or a restart gives the same ones.

The rule, which others may follow: SHA-256 over a JSON array of texts, numbers and nulls, UTF-8 without spaces; its
first 16 bytes are a trace's id, its first 8 a span's.

    trace   ["pullstudy/trace", CLUSTER, POD_UID, null, null, CONTAINER]
            ["pullstudy/trace", CLUSTER, null, NAMESPACE, POD, CONTAINER]     of a pod whose uid no record tells
    span    ["pullstudy/span", TRACE_ID, NAME, ...]                           ... is what tells apart those of one name

Ids are lower-case hexadecimal, as in OTLP's JSON.
"""

import hashlib

import msgspec


def trace_id(*, cluster: str, pod_uid: str | None, namespace: str | None, pod: str, container: str) -> str:
    """Of a container's way to its start, whoever tells of it."""
    if pod_uid is not None:
        return _digest(32, "pullstudy/trace", cluster, pod_uid, None, None, container)
    return _digest(32, "pullstudy/trace", cluster, None, namespace, pod, container)


def span_id(trace: str, name: str, *more: str | int) -> str:
    """Of a span in the trace of that id. ``more``: of a pull the uid and the count of the event that told of it."""
    return _digest(16, "pullstudy/span", trace, name, *more)


def _digest(letters: int, *parts: str | int | None) -> str:
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:letters]
