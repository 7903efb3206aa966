"""The context of a kubeconfig, held for a run: ``kubectl config use-context`` in the middle leads to another cluster.

What is held is the context's name alone. Credentials stay in the user's file, where they are renewed.
"""

import json
import os
from pathlib import Path


def hold_context(kubeconfig: Path, context: str, place: Path) -> Path:
    """Paths as KUBECONFIG has them, of the user's file and of one at ``place`` that says the context. Raises OSError.

    The client library takes the last file's word for it, kubectl and client-go the first's: so it stands on both sides.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    held = {"apiVersion": "v1", "kind": "Config", "clusters": [], "contexts": [], "users": []}
    place.write_text(json.dumps({**held, "current-context": context}), encoding="utf-8")
    return Path(os.pathsep.join(map(str, (place, kubeconfig, place))))


def keep_context(study: Path, context: str) -> None:
    """Tell later processes of the study in this directory on which cluster it has nodes now. Raises OSError."""
    (study / "clusters" / "context").write_text(context, encoding="utf-8")


def kept_context(study: Path) -> str | None:
    """What was kept: a run that is resumed goes on where it began."""
    try:
        return (study / "clusters" / "context").read_text(encoding="utf-8") or None
    except FileNotFoundError:
        return None
