"""Where clusters come from: the table of providers.

Each is built when it is asked for, so that none costs the others its imports.
"""

import os
from collections.abc import Callable
from pathlib import Path

from driver.clusters.provider import Provider
from driver.errors import UsageError


def _sim(kubeconfig: Path | None) -> Provider:
    from driver.providers.sim import SimProvider

    if kubeconfig is not None:
        raise UsageError("--kubeconfig: the provider sim makes its own clusters; leave it out, or give --provider")
    return SimProvider()


def _eks(kubeconfig: Path | None) -> Provider:
    from driver.providers.eks.provider import EksProvider

    return EksProvider(kubeconfig)


def _kubeconfig(kubeconfig: Path | None) -> Provider:
    from driver.providers.kubeconfig.provider import KubeconfigProvider

    return KubeconfigProvider(kubeconfig or _usual_kubeconfig())


def _usual_kubeconfig() -> Path:
    """As kubectl finds it."""
    named = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    return Path(named) if named else Path.home() / ".kube" / "config"


def _kwok(kubeconfig: Path | None) -> Provider:
    from driver.providers.kwok.provider import KwokProvider

    return KwokProvider(kubeconfig)


PROVIDERS: dict[str, Callable[[Path | None], Provider]] = {
    "sim": _sim,
    "kubeconfig": _kubeconfig,
    "kwok": _kwok,
    "eks": _eks,
}


def make_provider(name: str, kubeconfig: Path | None = None) -> Provider:
    """``kubeconfig`` is what the command line says of the way to a cluster's API. Raises UsageError."""
    if name not in PROVIDERS:
        raise UsageError(f"--provider {name}: there is {', '.join(PROVIDERS)}")
    return PROVIDERS[name](kubeconfig)
