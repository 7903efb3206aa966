"""What a node's image cache held before a job: pulls of different states never mix in one distribution."""

from enum import StrEnum


class CacheState(StrEnum):
    """By ``node.status.images``, looked at before the job."""

    COLD = "cold"  # neither the image nor another that shares a layer with it
    PARTIAL = "partial"  # another image that shares layers
    WARM = "warm"  # the image itself
