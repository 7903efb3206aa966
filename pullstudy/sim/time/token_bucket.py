"""The token bucket that client-go, the kubelet and the event recorders limit themselves with."""


class TokenBucket:
    """``burst`` tokens at most, ``rate`` more a second. Time is passed in; it must not go back."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = 0.0

    def take(self, now: float, tokens: int = 1) -> bool:
        """Take so many tokens if they are there."""
        self._refill(now)
        if self._tokens < tokens:
            return False
        self._tokens -= tokens
        return True

    def reserve(self, now: float) -> float:
        """Take a token in advance; return when it may be used."""
        self._refill(now)
        self._tokens -= 1
        return now if self._tokens >= 0 else now - self._tokens / self._rate

    def _refill(self, now: float) -> None:
        if now > self._at:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
            self._at = now
