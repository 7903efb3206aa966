"""What a pull's duration means by the kubelet that reported it. Sources: docs/events.md."""

import re

_VERSION = re.compile(r"v?(\d{1,3})\.(\d{1,3})(?:\..*)?")
_WAITING_TOLD_APART = (1, 26)  # kubernetes #111772
_PATCHED_SINCE = (1, 23)  # patches of early 2023 brought it to 1.23, 1.24 and 1.25 too


def duration_includes_waiting(kubelet: str) -> bool | None:
    """Whether a kubelet of this version, ``v1.27.16-eks-a737599``, counts its queue to a pull's duration.

    None where its patches differ (1.23 to 1.25: the message itself tells) or it is no version.
    """
    match = _VERSION.fullmatch(kubelet)
    if match is None:
        return None
    version = (int(match[1]), int(match[2]))
    if version >= _WAITING_TOLD_APART:
        return False
    return None if version >= _PATCHED_SINCE else True
