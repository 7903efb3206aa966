"""How long to wait before the next try: a value, from how often it failed."""

from random import Random

from collector.settings import BackoffSettings
from collector.sources.watch_protocol import Step


def wait_seconds(failures: int, settings: BackoffSettings, random: Random) -> float:
    """The wait after so many failures in a row: doubling from first_seconds to most_seconds, less the jitter.

    Without a failure it is reconnect_seconds.
    """
    if failures <= 0:
        return settings.reconnect_seconds
    # 2.0 ** 1024 overflows: a server may well be away for that many tries.
    doubled = settings.first_seconds * settings.factor ** min(failures - 1, 64)
    return min(doubled, settings.most_seconds) * (1.0 - settings.jitter * random.random())


def step_seconds(step: Step, settings: BackoffSettings, random: Random) -> float:
    """The wait before a step: none, what the server asked for, or by its failures."""
    if not step.wait:
        return 0.0
    asked = step.retry_after_seconds
    if not asked:  # "at once", from a proxy, would be a busy loop
        return wait_seconds(step.failures, settings, random)
    return min(asked, settings.most_retry_after_seconds)
