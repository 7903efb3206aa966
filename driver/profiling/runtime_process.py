"""The process behind a runtime's socket, and where it was told to send its spans.

Source: unix(7), SO_PEERCRED, of the process that listens; OpenTelemetry's specification of the exporter's environment.
"""

import os
import socket as sockets
import struct
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from driver.profiling.usage import PROC

_LOOPBACK = ("127.", "localhost", "[::1]", "::1")
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
_GRPC = "grpc"


def pid_behind(socket: Path) -> int | None:
    """None where that cannot be told: a process of another machine, or outside of this PID namespace."""
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as connection:
        try:
            connection.connect(str(socket))
        except OSError:
            return None
        told = connection.getsockopt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, _CREDENTIALS.size)
    return _CREDENTIALS.unpack(told)[0] or None


class SpanTarget(msgspec.Struct, frozen=True):
    """Where a process was told to send spans, by its environment."""

    endpoint: str | None
    protocol: str

    @property
    def loopback_port(self) -> int | None:
        """Of an endpoint on this machine, over HTTP."""
        url = urlsplit(self.endpoint or "")
        at_hand = (url.hostname or "").startswith(_LOOPBACK) and self.protocol != _GRPC
        return url.port if at_hand else None


def span_target(pid: int, proc: Path = PROC) -> SpanTarget | None:
    """None where its environment may not be read."""
    try:
        words = (proc / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return None
    told = dict(word.decode(errors="replace").split("=", 1) for word in words if b"=" in word)
    endpoint, protocol = (
        told.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or told.get(f"OTEL_EXPORTER_OTLP_{name}")
        for name in ("ENDPOINT", "PROTOCOL")
    )
    return SpanTarget(endpoint, protocol or "http/protobuf")


def how_to_send(port: int, target: SpanTarget | None) -> tuple[str, ...]:
    """What its administrator sets, as lines; and first what it has now."""
    now = "its environment may not be read: root may"
    if target is not None:
        now = (
            f"it sends them to {target.endpoint} ({target.protocol})" if target.endpoint else "it was told to send none"
        )
    return (
        f"No spans of containerd came to 127.0.0.1:{port}, so that only the whole pull is known; {now}.",
        "Put this into /etc/systemd/system/containerd.service.d/spans.conf (containerd 1.7 and later):",
        "  [Service]",
        f"  Environment=OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:{port}",
        "  Environment=OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
        "  Environment=OTEL_SPAN_EVENT_COUNT_LIMIT=20000",
        'and level = "debug" under [debug] of /etc/containerd/config.toml; then: systemctl daemon-reload,',
        "systemctl restart containerd (pods go on), and the same command again.",
    )


def node_name() -> str:
    return os.uname().nodename
