"""The marks by which what was made is known again: whose it is, of which run, and when its time is over."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec

STUDY, RUN, OWNER, EXPIRES = "pullstudy:study", "pullstudy:run", "pullstudy:owner", "pullstudy:expires-at"
_NOT_IN_TAGS = re.compile(r"[^\w .:/=+@-]+")


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """``run`` is drawn for each cluster that is made: names and tags of two never meet."""

    study: str
    run: str
    owner: str
    expires_at: datetime

    def tags(self) -> dict[str, str]:
        return {STUDY: self.study, RUN: self.run, OWNER: self.owner, EXPIRES: expiry_text(self.expires_at)}

    def listed(self) -> list[dict[str, str]]:
        """As CloudFormation and EC2 write tags."""
        return [{"Key": key, "Value": value} for key, value in self.tags().items()]


def expiry_text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def expiry_of(tags: Mapping[str, str]) -> datetime | None:
    """When the time of what bears these tags is over; None where they do not say it."""
    try:
        at = datetime.fromisoformat(tags.get(EXPIRES, ""))
    except ValueError:
        return None
    return at if at.tzinfo else None


def unlisted(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}


def ours(tags: Mapping[str, str], run: str) -> bool:
    """Whether it was made for this very cluster."""
    return bool(run) and tags.get(RUN) == run


def tag_value(text: str) -> str:
    """What a tag may hold of a text. Source: the EC2 User Guide's "Tag restrictions"; the length is ours."""
    return _NOT_IN_TAGS.sub("-", text)[:100] or "unknown"
