"""A container of a pod on a node: what it does, and how far it has come."""

import re
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

_SLEEP = re.compile(r"\bsleep\s+(\d+(?:\.\d+)?)")
_EXIT = re.compile(r"\bexit\s+(\d+)")


@dataclass(frozen=True)
class Program:
    """What a container does: the sleep and the exit code that its command line names, else nothing at all."""

    seconds: float
    exit_code: int

    @classmethod
    def of(cls, container: Json) -> "Program":
        line = " ".join([*container.get("command", ()), *container.get("args", ())])
        sleep, leave = _SLEEP.search(line), _EXIT.search(line)
        code = int(leave[1]) if leave else int(line.strip() in ("false", "/bin/false"))
        return cls(float(sleep[1]) if sleep else 0.0, code)


@dataclass
class SimContainer:
    """``state`` is what status.containerStatuses shows: waiting, running or terminated."""

    spec: Json
    program: Program
    state: Json
    image_id: str = ""
    container_id: str = ""
    restarts: int = 0

    @property
    def hold_seconds(self) -> float:
        """Of lifecycle.postStart.sleep, which the kubelet does itself before it looks at the pod again."""
        hook = (self.spec.get("lifecycle") or {}).get("postStart") or {}
        return float((hook.get("sleep") or {}).get("seconds", 0))

    @property
    def waits(self) -> bool:
        return "waiting" in self.state

    @property
    def runs(self) -> bool:
        return "running" in self.state

    @property
    def ended(self) -> bool:
        return "terminated" in self.state

    def status(self) -> Json:
        """Its entry in status.containerStatuses."""
        status = {
            "name": self.spec["name"],
            "state": self.state,
            "lastState": {},
            "ready": self.runs,
            "restartCount": self.restarts,
            "image": self.spec["image"],
            "imageID": self.image_id,
            "started": self.runs,
        }
        return status | {"containerID": self.container_id} if self.container_id else status
