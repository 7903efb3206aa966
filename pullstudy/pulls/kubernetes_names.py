"""What Kubernetes takes as the name of an object, as a label, and as the reference of an image. Pure.

Each function returns what is wrong in the words of Kubernetes itself, or None.
Source: apimachinery's ``util/validation``; distribution/reference's ``normalize.go`` and ``reference.go``.
"""

import re

from pullstudy.pulls.image import registry_of

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_NAME = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = rf"({_NAME})?"
_LONGEST_LABEL, _LONGEST_SUBDOMAIN = 63, 253

_LABEL_SAID = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    f" an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
_SUBDOMAIN_SAID = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    f" end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_NAME_SAID = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric"
    f" character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME}')"
)
_VALUE_SAID = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is"
    f" '{_VALUE}')"
)

_WORD = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST_PART = r"[A-Za-z0-9](?:[-A-Za-z0-9]*[A-Za-z0-9])?"
_HOST = rf"(?:{_HOST_PART}(?:\.{_HOST_PART})*|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?"
_DIGEST = r"(?P<algorithm>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*):(?P<hex>[0-9A-Fa-f]{32,})"
_REFERENCE = re.compile(
    rf"(?:{_HOST}/)?(?P<path>{_WORD}(?:/{_WORD})*)(?::[A-Za-z0-9_][-A-Za-z0-9_.]{{0,127}})?(?:@{_DIGEST})?", re.ASCII
)
_LONGEST_PATH = 255
_DIGITS = {"sha256": 64, "sha384": 96, "sha512": 128}  # of the algorithms that go-digest knows


def label_fault(text: str) -> str | None:
    """Of an RFC 1123 label: the name of a namespace, a container."""
    return _fault(text, _LABEL, _LONGEST_LABEL, _LABEL_SAID)


def subdomain_fault(text: str) -> str | None:
    """Of an RFC 1123 subdomain: the name of nearly all else."""
    return _fault(text, _SUBDOMAIN, _LONGEST_SUBDOMAIN, _SUBDOMAIN_SAID)


def label_key_fault(text: str) -> str | None:
    """Of a qualified name: the key of a label, a node selector, an annotation."""
    prefix, slash, name = text.rpartition("/")
    if slash and not prefix:
        return "prefix part must be non-empty"
    if slash and (wrong := subdomain_fault(prefix)):
        return f"prefix part {wrong}"
    if not name:
        return "name part must be non-empty"
    return _fault(name, _NAME, _LONGEST_LABEL, _NAME_SAID, long="name part ")


def label_value_fault(text: str) -> str | None:
    return _fault(text, _VALUE, _LONGEST_LABEL, _VALUE_SAID)


def _fault(text: str, pattern: str, longest: int, said: str, *, long: str = "") -> str | None:
    if len(text) > longest:
        return f"{long}must be no more than {longest} characters"
    return None if re.fullmatch(pattern, text, re.ASCII) else said


def reference_fault(text: str) -> str | None:
    """Of an image's reference, which the kubelet refuses and not the API server."""
    if re.fullmatch("[a-f0-9]{64}", text):
        return f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
    repository = _repository(text)
    if repository != repository.lower():
        return f"invalid reference format: repository name ({repository}) must be lowercase"
    found = _REFERENCE.fullmatch(text)
    if found is None:
        return "invalid reference format"
    if len(found["path"]) > _LONGEST_PATH:
        return f"repository name must not be more than {_LONGEST_PATH} characters"
    return _digest_fault(found["algorithm"], found["hex"]) if found["algorithm"] else None


def _repository(text: str) -> str:
    """As it is told where it has capitals: without the registry, with the library of Docker Hub."""
    first, slash, rest = text.partition("/")
    hosted = bool(slash) and (registry_of(text) == first or first != first.lower())
    repository = (rest if hosted else text).partition(":")[0]
    of_library = "/" not in repository and (not hosted or first == "docker.io")
    return f"library/{repository}" if of_library else repository


def _digest_fault(algorithm: str, digits: str) -> str | None:
    if algorithm not in _DIGITS:
        return "unsupported digest algorithm"
    if len(digits) != _DIGITS[algorithm]:
        return "invalid checksum digest length"
    return None if digits == digits.lower() else "invalid checksum digest format"
