"""A headless Chromium as a reader of the report, over its debugging pipe (Chrome DevTools Protocol)."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe")


class Browser:
    """One page. Messages are JSON, ended by a NUL, on the browser's descriptors 3 and 4."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._number, self._rest = 0, b""
        self._session: str | None = None
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def open(self, page: Path, width: int) -> None:
        """And wait until its charts are drawn."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self._call("Page.enable")
        self._call("Emulation.setEmulatedMedia", media="")
        self._call("Page.navigate", url=page.as_uri())
        while self._read().get("method") != "Page.loadEventFired":
            pass
        drawn = "document.documentElement.dataset.drawn ? resolve() : setTimeout(look, 50)"
        self.value(f"new Promise(resolve => {{ const look = () => {{ {drawn} }}; look(); }})")

    def print_on(self, millimetres: float) -> None:
        """Paper, so many millimetres wide within its margins; as in a browser, nothing is drawn anew for it."""
        self._call("Emulation.setEmulatedMedia", media="print")
        self.value(f"document.body.style.width = '{millimetres}mm'")

    def value(self, expression: str) -> Any:
        """Of JavaScript, as JSON."""
        answer = self._call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def close(self) -> None:
        self._session = None
        self._call("Browser.close")

    def _call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def _read(self) -> Any:
        while b"\0" not in self._rest:
            read = os.read(self._answers, 65536)
            if not read:
                raise RuntimeError("Chromium ended")
            self._rest += read
        text, _, self._rest = self._rest.partition(b"\0")
        return json.loads(text)


@contextmanager
def browser(program: str, profile: Path) -> Iterator[Browser]:
    """Started, with a profile of its own, and ended."""
    from_us, commands = os.pipe()
    answers, from_it = os.pipe()
    # Descriptors are passed by the numbers that they have here: they become 3 and 4 in the process that is replaced.
    moved = f"import os, sys; os.dup2({from_us}, 13); os.dup2({from_it}, 14); os.dup2(13, 3); os.dup2(14, 4); "
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"{moved} os.execv(sys.argv[1], sys.argv[1:])",
            program,
            *_FLAGS,
            f"--user-data-dir={profile}",
        ],
        pass_fds=(from_us, from_it),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    os.close(from_us)
    os.close(from_it)
    try:
        found = Browser(commands, answers)
        yield found
        found.close()
    finally:
        process.terminate()
        process.wait()
        os.close(commands)
        os.close(answers)
