"""The Kubernetes version that the simulated cluster is of."""

import re
from dataclasses import dataclass

_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True)
class KubernetesVersion:
    """Raises ValueError on parse of anything that is not like 1.34 or v1.34.4."""

    minor: int
    text: str  # vMAJOR.MINOR.PATCH

    @classmethod
    def parse(cls, text: str) -> "KubernetesVersion":
        match = _VERSION.fullmatch(text)
        if not match or match[1] != "1":
            raise ValueError(f"not a Kubernetes version: {text!r} (expected a form like 1.34 or 1.27.16)")
        return cls(int(match[2]), f"v1.{match[2]}.{match[3] or '0'}")
