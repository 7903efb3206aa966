"""What a process used, read from /proc; and which process is behind a socket, and where it sends spans."""

import os
import socket as sockets
from pathlib import Path

import pytest

from driver.profiling.runtime_process import SpanTarget, how_to_send, pid_behind, span_target
from driver.profiling.usage import UnknownUsageError, Usage, usage_of

STAT = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 2 3 4 {own} {system} {child} {child_system} 20 0 1 0 5 6 7\n"
DEVICES = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier
    lo:  999       1    0    0    0     0          0         0      999       1    0    0    0     0       0          0
  eth0: 5000       1    0    0    0     0          0         0        1       1    0    0    0     0       0          0
  eth1:  500       1    0    0    0     0          0         0        1       1    0    0    0     0       0          0
"""


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    process = tmp_path / "7"
    (process / "net").mkdir(parents=True)
    ticks = os.sysconf("SC_CLK_TCK")
    stat = STAT.format(own=2 * ticks, system=ticks, child=4 * ticks, child_system=ticks)
    (process / "stat").write_text(stat)
    (process / "io").write_text("rchar: 1\nread_bytes: 10\nwrite_bytes: 20\ncancelled_write_bytes: 0\n")
    (process / "net" / "dev").write_text(DEVICES)
    return tmp_path


def test_cpu_of_the_process_and_of_its_children_disk_and_network_are_read(proc: Path) -> None:
    assert usage_of(7, proc) == Usage(3.0, 5.0, 10, 20, 5500)


def test_of_two_moments_the_difference_is_what_was_used(proc: Path) -> None:
    before = Usage(1.0, 5.0, 4, None, 500)
    assert usage_of(7, proc).since(before) == Usage(2.0, 0.0, 6, None, 5000)


def test_what_may_not_be_read_is_unknown(proc: Path) -> None:
    (proc / "7" / "io").unlink()
    (proc / "7" / "net" / "dev").unlink()
    assert usage_of(7, proc) == Usage(3.0, 5.0, None, None, None)


def test_a_process_that_has_ended_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UnknownUsageError, match="process 7 has ended: the runtime was stopped or began anew"):
        usage_of(7, tmp_path)


def test_this_process_counts_itself() -> None:
    assert usage_of(os.getpid()).cpu_seconds > 0


def test_the_process_behind_a_socket_is_who_listens(tmp_path: Path) -> None:
    path = tmp_path / "s"
    assert pid_behind(path) is None
    with sockets.socket(sockets.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert pid_behind(path) == os.getpid()


@pytest.mark.parametrize(
    ("environment", "target", "port"),
    [
        ("", SpanTarget(None, "http/protobuf"), None),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4319",
            SpanTarget("http://127.0.0.1:4319", "http/protobuf"),
            4319,
        ),
        ("OTEL_EXPORTER_OTLP_ENDPOINT=http://otel:4318", SpanTarget("http://otel:4318", "http/protobuf"), None),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://x:1\0OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://localhost:4317\0"
            "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
            SpanTarget("http://localhost:4317", "grpc"),
            None,
        ),
    ],
)
def test_where_spans_go_is_in_the_processs_environment(
    proc: Path, environment: str, target: SpanTarget, port: int | None
) -> None:
    (proc / "7" / "environ").write_text(f"HOME=/\0{environment}\0")
    found = span_target(7, proc)
    assert found == target
    assert found.loopback_port == port


def test_what_to_set_names_the_port_and_what_is_set_now(proc: Path) -> None:
    assert span_target(7, proc) is None
    assert "its environment may not be read" in how_to_send(4318, None)[0]
    assert "it was told to send none" in how_to_send(4318, SpanTarget(None, "http/protobuf"))[0]
    lines = how_to_send(4319, SpanTarget("http://otel:4318", "grpc"))
    assert "it sends them to http://otel:4318 (grpc)" in lines[0]
    assert "  Environment=OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4319" in lines
