"""How many requests a registry takes of all nodes together before it refuses some.

Tokens and manifests alone: a registry's layers come from a store of objects or a CDN, to which it only points.
"""

from pullstudy.sim.model.parameters import RegistryParameters
from pullstudy.sim.time.token_bucket import TokenBucket

REQUESTS_A_PULL = 2  # token and manifest


class RequestLimit:
    """Without a limit nothing is refused."""

    def __init__(self, registry: RegistryParameters) -> None:
        rate = registry.requests_per_second
        self._bucket = None if rate is None else TokenBucket(rate, registry.burst_requests)

    def refuses(self, now: float) -> bool:
        """Whether a pull is refused; one that is not takes its requests from what is left."""
        return self._bucket is not None and not self._bucket.take(now, REQUESTS_A_PULL)
