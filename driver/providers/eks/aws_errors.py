"""What AWS' refusals mean for who asked.

Codes are those of botocore's models of EKS, CloudFormation, EC2, IAM and STS; what botocore raises without an answer is
mapped here too, and nowhere else.
"""

from enum import StrEnum

from driver.errors import ProviderError


class AwsErrorKind(StrEnum):
    """What can be done about it."""

    AGAIN = "again"  # throttled, the server's own fault, or no answer: it may have taken effect
    CREDENTIALS = "credentials"  # missing, expired or not valid: new ones help
    GONE = "gone"  # there is no such thing
    CONFLICT = "conflict"  # it exists already, is in use, or something still hangs on it
    REFUSED = "refused"  # anything else: asking again is no use


class AwsError(ProviderError):
    """A call that did not succeed."""

    def __init__(self, operation: str, code: str, why: str, kind: AwsErrorKind) -> None:
        super().__init__(f"AWS {operation}: {code} ({why})" if why else f"AWS {operation}: {code}")
        self.operation = operation
        self.code = code
        self.why = why
        self.kind = kind

    @property
    def forbidden(self) -> bool:
        """Whether the credentials' policies do not allow it."""
        return self.code in _FORBIDDEN


_FORBIDDEN = frozenset(["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"])  # the last is EC2's
_THROTTLED = frozenset(
    [
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "EC2ThrottledException",
        "BandwidthLimitExceeded",
        "PriorRequestNotComplete",
        "SlowDown",
    ]
)
_SERVER = frozenset(
    [
        "ServerException",
        "ServiceUnavailableException",
        "ServiceUnavailable",
        "InternalFailure",
        "InternalError",
        "InternalServiceError",
        "RequestTimeout",
        "RequestTimeoutException",
        "Unavailable",
    ]
)
_CREDENTIALS = frozenset(
    [
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "AuthFailure",
        "MissingAuthenticationToken",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",  # EKS' word for it; a clock that is wrong is told so too
    ]
)
_CONFLICT = frozenset(
    [
        "ResourceInUseException",
        "ResourceInUse",
        "VolumeInUse",
        "AlreadyExistsException",
        "TokenAlreadyExistsException",
        "DependencyViolation",
        "OperationInProgressException",
        "InvalidNetworkInterface.InUse",
        "InvalidParameterValue.InUse",
        "InvalidGroup.InUse",
        "DeleteConflict",
    ]
)
_GONE = frozenset(
    ("ResourceNotFoundException", "NoSuchEntity", "NotFoundException", "LoadBalancerNotFound", "TargetGroupNotFound")
)


def kind_of(code: str, why: str, status: int) -> AwsErrorKind:
    """Of an answer, by its code, its words and its HTTP status."""
    if code in _THROTTLED or code in _SERVER or status >= 500 or status == 429:
        return AwsErrorKind.AGAIN
    if code in _CREDENTIALS:
        return AwsErrorKind.CREDENTIALS
    # CloudFormation says that a stack "does not exist" by a ValidationError.
    if code in _GONE or code.endswith(".NotFound") or (code == "ValidationError" and "does not exist" in why):
        return AwsErrorKind.GONE
    # EC2 says of an interface that it "is currently in use" by an InvalidParameterValue.
    in_use = code == "InvalidParameterValue" and "in use" in why
    return AwsErrorKind.CONFLICT if code in _CONFLICT or in_use else AwsErrorKind.REFUSED


def read_error(operation: str, error: Exception) -> AwsError:
    """Of what botocore raised: every error of its own is a BotoCoreError or a ClientError."""
    from botocore import exceptions, parsers

    if isinstance(error, exceptions.ClientError):
        said = error.response.get("Error", {})
        code, why = str(said.get("Code", "Unknown")), _told(str(said.get("Message", "")))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return AwsError(operation, code, why, kind_of(code, why, status))
    name, why = type(error).__name__, " ".join(str(error).split())
    # An answer cut off in its middle, or a proxy's page, cannot be parsed.
    unanswered = (exceptions.HTTPClientError, exceptions.ConnectionError, parsers.ResponseParserError)
    if isinstance(error, unanswered):
        return AwsError(operation, name, why, AwsErrorKind.AGAIN)
    missing = (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.TokenRetrievalError,
        exceptions.SSOError,
        exceptions.ProfileNotFound,
    )
    if isinstance(error, exceptions.NoCredentialsError):
        why = "there are none: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    return AwsError(
        operation, name, why, AwsErrorKind.CREDENTIALS if isinstance(error, missing) else AwsErrorKind.REFUSED
    )


def _told(message: str) -> str:
    """In one line, and without the request that a bad signature is told with: its headers hold the session's token."""
    return " ".join(message.partition("The Canonical String")[0].split())
