"""What an error of the Kafka client means, as a value."""

import ssl
from enum import StrEnum

from aiokafka import errors

from pullstudy.bus.kafka.settings import KafkaFileError


class Meaning(StrEnum):
    """What to do about it."""

    TOO_LARGE = "too large"  # the messages have to be looked at one by one
    WRONG_SETTING = "wrong setting"  # repeat, and alarm: somebody has to act
    PASSING = "passing"  # repeat


_TOO_LARGE = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError)
_WRONG_SETTING = (
    errors.TopicAuthorizationFailedError,
    errors.GroupAuthorizationFailedError,
    errors.ClusterAuthorizationFailedError,
    errors.AuthenticationFailedError,
    errors.AuthenticationMethodNotSupported,
    errors.SaslAuthenticationFailed,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
    errors.InvalidTopicError,
    errors.PolicyViolationError,
    errors.InvalidReplicationFactorError,
    errors.UnsupportedVersionError,
    errors.IncompatibleBrokerVersion,
    ssl.SSLError,
    KafkaFileError,
)


# What Kafka leaves unsaid: a producer is refused as a whole where its user may write to no topic at all.
_IN_WORDS: dict[type[BaseException], str] = {
    errors.TopicAuthorizationFailedError: "the user lacks a right on a topic: allow Describe, Write and Read on it",
    errors.ClusterAuthorizationFailedError: "the user may not write: allow Write on the topics",
    errors.GroupAuthorizationFailedError: "the user may not read as a member of the group: allow Read on the group",
}


def meaning(error: BaseException) -> Meaning:
    """Anything that is not known to be a wrong setting may pass: it is never a reason to discard."""
    if isinstance(error, _TOO_LARGE):
        return Meaning.TOO_LARGE
    return Meaning.WRONG_SETTING if isinstance(error, _WRONG_SETTING) else Meaning.PASSING


def text(error: BaseException) -> str:
    """One line."""
    described = str(error).replace("\n", " ").strip().rstrip(".")
    name = type(error).__name__
    named = described if name in described else f"{name}: {described}".removesuffix(": ")
    words = _IN_WORDS.get(type(error))
    return f"{words} ({named})" if words else named
