"""What requests and answers have in common: where a path points, flags, numbers and bodies read, JSON sent."""

from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from pullstudy.sim.api import protobuf, status
from pullstudy.sim.api.resources import Resource, find

Json = dict[str, Any]


@dataclass(frozen=True)
class ApiPath:
    """What a path points at."""

    resource: Resource
    namespace: str | None = None
    name: str | None = None
    subresource: str | None = None

    @classmethod
    def of(cls, path: str) -> "ApiPath | None":
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "v1"]:
            group, version, rest = "", "v1", parts[2:]
        elif parts[0] == "apis" and len(parts) > 3:
            group, version, rest = parts[1], parts[2], parts[3:]
        else:
            return None
        namespace = None
        if rest[:1] == ["namespaces"] and len(rest) > 2 and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        if not rest or not rest[0] or len(rest) > 4:
            return None
        resource = find(group, version, rest[0])
        if resource is None or (namespace is not None and not resource.namespaced):
            return None
        name = rest[1] if len(rest) > 1 else None
        return cls(resource, namespace, name, "/".join(rest[2:]) or None)


def json_answer(document: Json, code: int = 200) -> web.Response:
    return raw_answer(msgspec.json.encode(document) + b"\n", code)


def raw_answer(body: bytes, code: int = 200) -> web.Response:
    headers = {"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
    return web.Response(body=body, status=code, headers=headers)


async def read_body(request: web.Request, *, optional: bool = False, any_type: bool = False) -> Any:
    raw = await request.read()
    if not raw.strip() and optional:
        return {}
    try:
        body = protobuf.decode(raw) if request.content_type == protobuf.MEDIA_TYPE else msgspec.json.decode(raw)
    except ValueError as error:
        raise status.bad_request(f"the object provided is unrecognized (must be of type JSON): {error}") from error
    if body is None and optional:
        return {}
    if not any_type and not isinstance(body, dict):
        raise status.bad_request("the object provided is unrecognized: a JSON object is expected")
    return body


def flag(request: web.Request, name: str) -> bool:
    """As Go's strconv.ParseBool reads it: clients in Python write True."""
    return request.query.get(name, "") in ("1", "t", "T", "true", "TRUE", "True")


def integer(text: str, name: str) -> int:
    """As Go's ParseInt would, of what is no negative. Raises ApiFailureError 400."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise status.bad_request(f"unable to decode {name}: {text[:40]!r} is no number up to 999999999")
    return int(text)


def version_asked(query: Any) -> int:
    text = query.get("resourceVersion", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
