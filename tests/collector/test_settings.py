"""Where a setting comes from: flag before environment before file before default, for every option of every command."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from collector.cli import COMMANDS, run_command
from collector.commands.collect_command import app
from collector.configuration.options import key_of, settable, variable_of
from collector.configuration.quantity import ByteSize, Seconds, address, byte_size, seconds
from collector.configuration.settings_shown import MASK, VARIABLES
from pullstudy.bus.kafka.settings import KafkaSettings
from pullstudy.store.influx.settings import InfluxSettings

# Three values that an option takes, as they are shown: from flag, environment, file. By what stands for them in help.
VALUES = {
    "DURATION": ("11s", "12s", "13s"),
    "HOST:PORT": ("a:1", "b:2", "c:3"),
    "LABELS": ("image", "node", "image,node"),
    "N": ("4", "8", "16"),
    "SIZE": ("1MiB", "2MiB", "3MiB"),
    None: ("json", "text", "json"),
}
OTHERS = ("one", "two", "three")
FLAG = ("true", "false", "true")
COMMAND_WORDS: list[tuple[str, ...]] = [(), *((word,) for word in COMMANDS)]


def options_of(words: tuple[str, ...]) -> list[Any]:
    return settable(typer.main.get_command(COMMANDS[words[0]]() if words else app).params)


def needed(words: tuple[str, ...]) -> dict[str, str | bool]:
    """The options without which the command says nothing."""
    return {key_of(each): values_of(each)[2] for each in options_of(words) if each.required}


def values_of(option: Any) -> tuple[str, str, str]:
    return FLAG if option.is_flag else VALUES.get(option.metavar, OTHERS)


OPTIONS = [
    pytest.param(words, each, id=" ".join([*words, key_of(each)]))
    for words in COMMAND_WORDS
    for each in options_of(words)
]


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("PULLSTUDY_", "KAFKA_", "INFLUXDB_")):
            monkeypatch.delenv(name)


class Shell:
    """Runs the command with --show-settings."""

    def __init__(self, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
        self._words = words
        self._capsys = capsys

    def shown(self, *arguments: str) -> dict[str, dict[str, str | None]]:
        assert run_command([*self._words, *arguments, "--show-settings", "json"]) == 0
        found: dict[str, dict[str, str | None]] = json.loads(self._capsys.readouterr().out)
        return found


def _write(path: Path, values: Mapping[str, str | bool]) -> Path:
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
    return path


@pytest.mark.parametrize(("words", "option"), OPTIONS)
def test_a_flag_goes_before_the_environment_and_that_before_the_file(
    words: tuple[str, ...],
    option: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shell, key = Shell(words, capsys), key_of(option)
    flag, variable, file = values_of(option)
    values = {**needed(words), key: file == "true" if option.is_flag else file}
    config = ("--config", str(_write(tmp_path / "c.toml", values)))
    assert shell.shown(*config)[key] == {"value": file, "source": f"file {config[1]}"}
    monkeypatch.setenv(variable_of(option), variable)
    assert shell.shown(*config)[key] == {"value": variable, "source": f"environment {variable_of(option)}"}
    given_flag = (f"--{key}",) if option.is_flag else (f"--{key}", flag)
    assert shell.shown(*config, *given_flag)[key] == {"value": flag, "source": "flag"}


def test_the_file_may_be_named_in_the_environment_and_serves_all_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    values: dict[str, str | bool] = {"cluster": "lab", "kafka": "broker:9092", "influx": "http://influx:8086"}
    monkeypatch.setenv("PULLSTUDY_COLLECTOR_CONFIG", str(_write(tmp_path / "c.toml", values)))
    assert Shell((), capsys).shown()["cluster"]["value"] == "lab"
    sink = Shell(("sink",), capsys).shown()
    assert sink["kafka"]["value"] == "broker:9092"
    assert "cluster" not in sink


def test_the_file_of_the_documentation_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    docs = (Path(__file__).parents[2] / "docs" / "collector.md").read_text()
    (tmp_path / "c.toml").write_text(docs.split("```toml\n")[1].partition("```")[0])
    shown = Shell((), capsys).shown("--config", str(tmp_path / "c.toml"))
    assert {key for key, each in shown.items() if (each["source"] or "").startswith("file")} == {
        *("cluster", "data-dir", "in-cluster", "kafka", "listen", "max-lag"),
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("clustr = 'a'", "there is no setting 'clustr'; did you mean 'cluster'?"),
        ("data_dir = 'a'", "there is no setting 'data_dir'; did you mean 'data-dir'?"),
        ("token = 'x'", "'token' looks like a secret"),
        ("kafka-password = 'x'", "'kafka-password' looks like a secret"),
        ("zzz = 1", "there is no setting 'zzz'; see collector --help"),
        ("config = 'other'", "there is no setting 'config'"),
        ("cluster = ['a']", "cluster is a text or a number, not ['a']"),
        ("cluster = true", "cluster is a text or a number, not True"),
        ("in-cluster = 'yes'", "in-cluster is true or false, not 'yes'"),
        ("cluster", "is no TOML"),
        ("cluster = 'a'\nsize = 'many'", "for '--size'"),
    ],
)
def test_what_is_wrong_in_the_file_is_one_line_that_names_it(
    text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.toml").write_text(text)
    assert run_command(["--config", str(tmp_path / "c.toml")]) == 2
    line = capsys.readouterr().err
    assert told in line
    assert str(tmp_path / "c.toml") in line
    assert line.count("\n") == 1


def test_a_file_that_is_not_there_and_a_wrong_variable_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["--config", str(tmp_path / "none")]) == 2
    assert "cannot be read: no such file" in capsys.readouterr().err
    monkeypatch.setenv("PULLSTUDY_COLLECTOR_SPOOL_LIMIT", "lots")
    assert run_command(["--cluster", "lab"]) == 2
    assert "(from PULLSTUDY_COLLECTOR_SPOOL_LIMIT)" in capsys.readouterr().err


class Recorded(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__(INFLUXDB_V2_ORG="o", INFLUXDB_V2_TOKEN="t")
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)


def test_every_variable_that_the_clients_read_is_shown_with_its_default() -> None:
    environment = Recorded()
    kafka = KafkaSettings.from_environment(environment, bootstrap="broker:9092")
    influx = InfluxSettings.from_environment(environment, url="http://influx:8086")
    assert {each.name for each in VARIABLES} == environment.asked
    defaults = {each.name: each.default for each in VARIABLES if each.default is not None}
    assert defaults == {
        "KAFKA_TOPIC": kafka.topic,
        "KAFKA_SECURITY_PROTOCOL": kafka.security.protocol,
        "KAFKA_SASL_MECHANISM": kafka.security.mechanism,
        "INFLUXDB_V2_BUCKET": influx.bucket,
        "INFLUXDB_V2_VERIFY_SSL": str(influx.verify).lower(),
    }


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_are_masked(form: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for each in VARIABLES:
        monkeypatch.setenv(each.name, f"value-of-{each.name}")
    assert run_command(["--cluster", "lab", "--show-settings", form]) == 0
    shown = capsys.readouterr().out
    secrets = {each.name for each in VARIABLES if each.secret}
    assert secrets == {"KAFKA_SASL_PASSWORD", "INFLUXDB_V2_TOKEN"}
    assert {each.name for each in VARIABLES if f"value-of-{each.name}" in shown.replace('"', " ").split()} == {
        each.name for each in VARIABLES
    } - secrets
    assert shown.count(MASK) == 2


def _names() -> Iterator[str]:
    for find in (lambda: app, *COMMANDS.values()):
        for each in typer.main.get_command(find()).params:
            yield from each.opts


def test_no_flag_takes_a_secret() -> None:
    assert not [name for name in _names() for word in ("token", "password", "secret") if word in name]


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("1GiB", 1 << 30), ("1Gi", 1 << 30), ("1.5 MiB", 3 << 19), ("2K", 2_048), ("17", 17), ("17B", 17)],
)
def test_sizes_are_powers_of_1024(text: str, bytes_: int) -> None:
    assert byte_size(text) == bytes_


@pytest.mark.parametrize("text", ["", "GiB", "1EB", "-1", "one", "1 GiBs"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        byte_size(text)


@given(st.integers(0, 1 << 44))
def test_a_size_reads_as_it_prints(number: int) -> None:
    assert byte_size(str(ByteSize(number))) == number


@given(st.integers(1, 10**7))
def test_a_duration_reads_as_it_prints(milliseconds: int) -> None:
    assert seconds(str(Seconds(milliseconds / 1_000))) == milliseconds / 1_000


@pytest.mark.parametrize(("number", "text"), [(300.0, "5m"), (25.0, "25s"), (5_400.0, "1h30m"), (3_600.0, "1h")])
def test_a_duration_prints_as_a_user_writes_it(number: float, text: str) -> None:
    assert str(Seconds(number)) == text


@pytest.mark.parametrize("text", ["5", "0s", "-5m", "soon", ""])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("127.0.0.1:0", "127.0.0.1", 0), (":8080", None, 8080), ("[::1]:80", "::1", 80), ("lab:65535", "lab", 65_535)],
)
def test_an_address_is_a_host_and_a_port(text: str, host: str | None, port: int) -> None:
    assert (address(text).host, address(text).port) == (host, port)


@pytest.mark.parametrize("text", ["8080", "host", "host:", "host:http", "::1:80", "host:65536", "host:-1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        address(text)
