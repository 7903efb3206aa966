"""Status objects: what the API server answers where it refuses (apimachinery ``api/errors/errors.go``)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

Json = dict[str, Any]


class ApiFailureError(Exception):
    """An answer that is a Status: the HTTP code, the machine's reason, the person's message."""

    def __init__(
        self, code: int, reason: str, message: str, details: Json | None = None, continue_token: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_seconds: int | None = (details or {}).get("retryAfterSeconds")
        self._reason = reason
        self._details = details
        self._continue_token = continue_token

    def status(self) -> Json:
        body: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self._continue_token} if self._continue_token else {},
            "status": "Failure",
            "message": str(self),
            "reason": self._reason,
        }
        if self._details:
            body["details"] = self._details
        return {**body, "code": self.code}

    def body(self) -> bytes:
        return msgspec.json.encode(self.status())

    def watch_line(self) -> bytes:
        """The same, as an ERROR inside a watch that was answered 200."""
        return b'{"type":"ERROR","object":' + self.body() + b"}\n"


def success(details: Json) -> Json:
    """What a DELETE is answered with when the object is gone."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def not_found(resource: str, group: str, name: str) -> ApiFailureError:
    full = f"{resource}.{group}" if group else resource
    details = {"name": name, "group": group, "kind": resource}
    return ApiFailureError(404, "NotFound", f'{full} "{name}" not found', {k: v for k, v in details.items() if v})


def no_such_path() -> ApiFailureError:
    return ApiFailureError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(resource: str, group: str, name: str) -> ApiFailureError:
    full = f"{resource}.{group}" if group else resource
    details = {"name": name, "group": group, "kind": resource}
    return ApiFailureError(
        409, "AlreadyExists", f'{full} "{name}" already exists', {k: v for k, v in details.items() if v}
    )


def conflict(resource: str, name: str) -> ApiFailureError:
    return ApiFailureError(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {resource} "{name}": the object has been modified; please apply'
        " your changes to the latest version and try again",
        {"name": name, "kind": resource},
    )


def bad_request(message: str) -> ApiFailureError:
    return ApiFailureError(400, "BadRequest", message)


class Cause(NamedTuple):
    """One field that is wrong, and why: ``Invalid value: "A": a lowercase RFC 1123 ...``."""

    field: str
    why: str


# By how the message of a field begins (apimachinery's ``util/validation/field``).
_CAUSES = {
    "Required value": "FieldValueRequired",
    "Unsupported value": "FieldValueNotSupported",
    "Duplicate value": "FieldValueDuplicate",
    "Forbidden": "FieldValueForbidden",
    "Too long": "FieldValueTooLong",
}


def invalid(kind: str, group: str, name: str, field: str, why: str) -> ApiFailureError:
    return invalid_fields(kind, group, name, [Cause(field, why)])


def invalid_fields(kind: str, group: str, name: str, causes: Sequence[Cause]) -> ApiFailureError:
    said = [f"{cause.field}: {cause.why}" for cause in causes]
    details = {
        "name": name,
        "group": group,
        "kind": kind,
        "causes": [
            {
                "reason": _CAUSES.get(cause.why.partition(":")[0], "FieldValueInvalid"),
                "message": cause.why,
                "field": cause.field,
            }
            for cause in causes
        ],
    }
    told = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    return ApiFailureError(
        422,
        "Invalid",
        f'{kind}{"." + group if group else ""} "{name}" is invalid: {told}',
        {key: value for key, value in details.items() if value},
    )


def method_not_allowed() -> ApiFailureError:
    return ApiFailureError(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {}
    )


def unsupported_media_type(content_type: str) -> ApiFailureError:
    return ApiFailureError(
        415,
        "UnsupportedMediaType",
        f"the body of the request was in an unknown format - {content_type or 'none given'}",
        {},
    )


def expired(message: str = "The resourceVersion for the provided watch is too old.") -> ApiFailureError:
    return ApiFailureError(410, "Expired", message)


def too_old(version: int, oldest: int) -> ApiFailureError:
    return ApiFailureError(410, "Expired", f"too old resource version: {version} ({oldest})")


def expired_continue(continue_token: str) -> ApiFailureError:
    return ApiFailureError(
        410,
        "Expired",
        "The provided continue parameter is too old to display a consistent list result. You can start a new list"
        " without the continue parameter, or use the continue token in this response to retrieve the remainder of"
        " the results. Continuing with the provided token results in an inconsistent list - objects that were"
        " created, modified, or deleted between the time the first chunk was returned and now may show up in the"
        " list.",
        continue_token=continue_token,
    )


def version_too_large(version: int, current: int) -> ApiFailureError:
    return ApiFailureError(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {version}, current: {current}",
        {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        },
    )


def too_many_requests(retry_after_seconds: int) -> ApiFailureError:
    return ApiFailureError(
        429,
        "TooManyRequests",
        "the server has received too many requests and has asked us to try again later",
        {"retryAfterSeconds": retry_after_seconds},
    )


def forbidden(verb: str, resource: str) -> ApiFailureError:
    user = 'User "simulated" cannot'
    return ApiFailureError(
        403, "Forbidden", f"{resource} is forbidden: {user} {verb} resource {resource!r}", {"kind": resource}
    )


def injected(code: int) -> ApiFailureError:
    """A plain error of the server's own."""
    reasons = {
        401: ("Unauthorized", "Unauthorized"),
        403: ("Forbidden", "forbidden: injected by the simulator"),
        500: ("InternalError", "Internal error occurred: etcdserver: request timed out"),
        503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504: ("Timeout", "Timeout: request did not complete within requested timeout - context deadline exceeded"),
    }
    reason, message = reasons.get(code, ("InternalError", "Internal error occurred"))
    return ApiFailureError(code, reason, message)
