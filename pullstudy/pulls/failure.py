"""Why a pull failed, from the text that kubelet, containerd and registries write."""

import re
from enum import StrEnum


class FailureClass(StrEnum):
    """A cause that a user would act on differently from the others."""

    RATE_LIMITED = "rate-limited"  # the registry answers 429
    QPS = "qps"  # the kubelet's own registryPullQPS
    UNAUTHORIZED = "unauthorized"  # 401, 403, missing or refused credentials
    NOT_FOUND = "not-found"  # no such repository, tag or digest
    TIMEOUT = "timeout"
    NO_SPACE = "no-space"
    DNS = "dns"  # the registry's name cannot be resolved
    UNAVAILABLE = "unavailable"  # registry down, unreachable, 5xx
    CORRUPT = "corrupt"  # digest or size does not match, unpack fails
    CERTIFICATE = "certificate"  # the registry's is not trusted by the node
    NO_PLATFORM = "no-platform"  # nothing in the image's index for the node's system and processor
    INVALID_NAME = "invalid-name"  # short names that the node's registries.conf does not resolve, too
    NEVER_PULL = "never-pull"  # absent, and the pull policy is Never
    SIGNATURE = "signature"
    OTHER = "other"

    @property
    def hopeless(self) -> bool:
        """No later attempt of the same pod can end otherwise, unless somebody mends the cause."""
        return self in _HOPELESS


_HOPELESS = frozenset(
    (
        FailureClass.UNAUTHORIZED,
        FailureClass.NOT_FOUND,
        FailureClass.CERTIFICATE,
        FailureClass.NO_PLATFORM,
        FailureClass.INVALID_NAME,
        FailureClass.NEVER_PULL,
        FailureClass.SIGNATURE,
    )
)


def _status(codes: str) -> str:
    """An HTTP status, and no part of a name or a version: ``app:1.403`` and ``manifests/404`` are none."""
    return rf"(?<![\w.:/@-]){codes}(?![\w-]|\.\w)"


# In order: the first that is found decides, so the specific stand before the general. A registry's
# "denied" for a missing private repository reads as unauthorized, because that is all it says.
_PATTERNS: tuple[tuple[FailureClass, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        (FailureClass.QPS, r"pull QPS exceeded"),
        (FailureClass.RATE_LIMITED, _status("429") + r"|too ?many ?requests|rate limit"),
        (FailureClass.NO_SPACE, r"no space left on device|disk quota exceeded"),
        (FailureClass.SIGNATURE, r"signature validation failed|SignatureValidationFailed"),
        (FailureClass.NEVER_PULL, r"pull policy of Never|ErrImageNeverPull"),
        (
            FailureClass.INVALID_NAME,
            r"InvalidImageName|invalid reference format|couldn't parse image"
            r"|short-name \S+ did not resolve to an alias|short name mode is enforcing",
        ),
        # containerd lost a layer that it had unpacked and gets it again: it ends in "not found", and is no 404.
        (FailureClass.CORRUPT, r"parent snapshot \S+ does not exist"),
        (FailureClass.UNAVAILABLE, r"x509: certificate has expired or is not yet valid: current time \S+ is before"),
        (FailureClass.CERTIFICATE, r"x509: "),
        (
            FailureClass.DNS,
            r"no such host|server misbehaving|temporary failure in name resolution|\blookup \S+(?: on \S+)?: "
            r"|read udp \S+:53: ",
        ),
        (
            FailureClass.NO_PLATFORM,
            r"no match(?:ing manifest)? for (?:platform|\w+/\w+)"
            r"|no image found in (?:manifest list|image index) for architecture",
        ),
        (
            FailureClass.UNAUTHORIZED,
            _status("40[13]") + r"|unauthorized|forbidden|authentication required|authorization failed|no basic auth"
            r"|insufficient_scope|access to the resource is denied|\bdenied\b",
        ),
        (FailureClass.NOT_FOUND, _status("404") + r"|not found|manifest unknown|name unknown|does not exist"),
        (
            FailureClass.CORRUPT,
            r"failed commit on ref|unexpected (?:commit )?digest|digest mismatch|failed size validation"
            r"|failed to extract layer|archive/tar|gzip: invalid|invalid checksum",
        ),
        (FailureClass.TIMEOUT, r"time[d ]?-?out|deadline exceeded|context canceled"),
        (
            FailureClass.UNAVAILABLE,
            r"registry is unavailable|RegistryUnavailable|connection refused|connection reset"
            r"|no route to host|unexpected EOF|\bEOF\b|service unavailable|bad gateway|tls: |" + _status("50[0234]"),
        ),
    )
)


def classify(error: str | None) -> FailureClass:
    """The class of an error text; OTHER where none of the known texts is in it."""
    for kind, pattern in _PATTERNS:
        if pattern.search(error or ""):
            return kind
    return FailureClass.OTHER
