"""The cache of the real servers: each part is made once, whole or not at all."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stack.build import ensure, main
from tests.stack.error import StackError
from tests.stack.home import VARIABLE, StackHome
from tests.stack.parts import PARTS, Part, Run, parts_named
from tests.stack.port import RANGE, free_port


def silent(line: str) -> None:
    assert line


def part(build: Callable[[Part, Path, Run], None], **more: object) -> Part:
    return Part(**{"name": "p", "version": "1", "provides": ("bin/p",), "build": build, "minutes": 0, **more})  # type: ignore[arg-type]


def writes(text: str) -> Callable[[Part, Path, Run], None]:
    def build(_: Part, into: Path, run: Run) -> None:
        run(["sh", "-c", f"echo {text} > bin/p"], into, {})

    return build


def never(_: Part, __: Path, ___: Run) -> None:
    raise AssertionError("built again")


@pytest.fixture
def home(tmp_path: Path) -> StackHome:
    return StackHome(tmp_path / "home")


def test_a_part_is_built_once_for_a_version(home: StackHome) -> None:
    ensure(home, [part(writes("one"))], silent)
    ensure(home, [part(never)], silent)
    assert home.program("p").read_text() == "one\n"
    ensure(home, [part(writes("two"), version="2")], silent)
    assert home.program("p").read_text() == "two\n"


def test_a_failed_build_says_why_and_leaves_the_cache_as_it_was(home: StackHome) -> None:
    def fails(_: Part, into: Path, run: Run) -> None:
        run(["sh", "-c", "echo half > bin/p; echo no space >&2; exit 3"], into, {})

    ensure(home, [part(writes("one"))], silent)
    with pytest.raises(StackError, match=r"(?s)p: sh failed with 3; .*no space"):
        ensure(home, [part(fails, version="2")], silent)
    assert home.program("p").read_text() == "one\n"
    ensure(home, [part(never)], silent)


def test_what_a_killed_build_left_is_swept_before_the_next(home: StackHome) -> None:
    (home.root / ".building-p" / "bin").mkdir(parents=True)
    (home.root / ".building-p" / "bin" / "p").write_text("half")
    ensure(home, [part(writes("whole"))], silent)
    assert home.program("p").read_text() == "whole\n"
    assert not list(home.root.glob(".building-*"))


def test_an_absent_toolchain_is_named(home: StackHome) -> None:
    with pytest.raises(StackError, match="p 1 cannot be built: no-such-compiler not found on PATH"):
        ensure(home, [part(never, toolchain=("no-such-compiler",))], silent)


def test_a_user_who_may_not_install_is_told_what_to_install(home: StackHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    advice = "missing: no-such-server; as root on Debian 12: apt-get install --no-install-recommends its-package"
    with pytest.raises(StackError, match=re.escape(advice)):
        ensure(home, [part(never, packages={"no-such-server": "its-package"})], silent)


def test_what_takes_longer_than_is_left_is_left_out_and_said(
    home: StackHome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    long = part(never, name="long", provides=("bin/long",), minutes=50)
    short = part(writes("one"), minutes=1)
    assert ensure(home, [long, short], silent, within_minutes=45) == [long]
    assert home.program("p").read_text() == "one\n"
    monkeypatch.setenv(VARIABLE, str(home.root))
    monkeypatch.setattr("tests.stack.build.parts_named", lambda names: [long, short])
    assert main(["--within", "45"]) == 0
    said = capsys.readouterr().err
    assert "stack: LEFT OUT: long 1: no 50 of the 45 min are left" in said
    assert "NOT all parts" in said


def test_an_unknown_part_is_wrong_use_and_the_known_ones_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert main(["kafak"]) == 2
    assert "no part of the stack is called kafak; the parts: kafka kube" in capsys.readouterr().err
    assert [part.name for part in parts_named([])] == list(PARTS)


def test_a_program_that_is_not_built_yet_names_the_command(home: StackHome) -> None:
    with pytest.raises(StackError, match=r"run: python -m tests\.stack\.build"):
        home.program("influxd")


def test_ports_are_distinct_and_below_the_ephemeral_range() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    assert all(port in RANGE for port in ports)
    first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(ports) < first_ephemeral
