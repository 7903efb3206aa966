"""The table of providers. Each is built when it is asked for, so that none costs the others its imports."""

from collections.abc import Callable

from driver.errors import UsageError
from driver.provider import Provider


def _sim() -> Provider:
    from driver.providers.sim import SimProvider

    return SimProvider()


PROVIDERS: dict[str, Callable[[], Provider]] = {
    "sim": _sim,
}


def make_provider(name: str) -> Provider:
    """Raises UsageError."""
    if name not in PROVIDERS:
        raise UsageError(f"--provider {name}: there is {', '.join(PROVIDERS)}")
    return PROVIDERS[name]()
