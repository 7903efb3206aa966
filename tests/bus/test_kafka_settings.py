"""Settings of Kafka: wrong use is one line that names the variable, and no secret is ever printed."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from pullstudy.bus.kafka.producer import KafkaSender, Outgoing
from pullstudy.bus.kafka.settings import KafkaSettings, KafkaSettingsError, Security
from pullstudy.bus.trouble import Trouble
from tests.notices import KeptNotices

SASL = {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_USERNAME": "u"}


def test_without_any_variable_it_is_plaintext_and_the_topic_pulls() -> None:
    settings = KafkaSettings.from_environment({}, bootstrap="h:9092,[::1]:9093")
    assert (settings.security.protocol, settings.topic) == ("PLAINTEXT", "pulls")
    assert (settings.context_topic, settings.dead_topic) == ("pulls-context", "pulls-dead")
    assert settings.client_options()["bootstrap_servers"] == "h:9092,[::1]:9093"


def test_a_topic_of_another_name_takes_the_others_along() -> None:
    settings = KafkaSettings.from_environment({"KAFKA_TOPIC": "t"}, bootstrap="h:1")
    assert (settings.topic, settings.context_topic, settings.dead_topic) == ("t", "t-context", "t-dead")


def test_the_password_comes_from_a_file_and_is_not_printed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hidden-word\n")
    security = Security.from_environment({**SASL, "KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "secret")})
    assert security.client_options()["sasl_plain_password"] == "hidden-word"
    assert "hidden-word" not in repr(security)


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL is TLS"),
        (SASL, "KAFKA_SASL_PASSWORD"),
        ({**SASL, "KAFKA_SASL_PASSWORD": "p", "KAFKA_SASL_MECHANISM": "GSSAPI"}, "KAFKA_SASL_MECHANISM is GSSAPI"),
        ({**SASL, "KAFKA_SASL_PASSWORD_FILE": "/no/such/file"}, "KAFKA_SASL_PASSWORD_FILE /no/such/file"),
        ({"KAFKA_SASL_USERNAME": "u"}, "set it to SASL_SSL"),
        ({"KAFKA_SSL_CAFILE": "f"}, "set it to SSL or SASL_SSL"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CERTFILE": "f"}, "set both"),
    ],
)
def test_variables_that_do_not_fit_together_are_said_in_one_line(environment: dict[str, str], problem: str) -> None:
    with pytest.raises(KafkaSettingsError, match=problem) as raised:
        KafkaSettings.from_environment(environment, bootstrap="h:9092")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("bootstrap", ["", "host", "host:", ":9092", "host:port", "http://host", "a:1,b"])
def test_an_address_that_is_none_shows_the_form(bootstrap: str) -> None:
    with pytest.raises(KafkaSettingsError, match="HOST:PORT"):
        KafkaSettings.from_environment({}, bootstrap=bootstrap)


def test_a_certificate_file_that_is_missing_is_named(tmp_path: Path) -> None:
    security = Security(protocol="SSL", ca_file=tmp_path / "none.pem")
    with pytest.raises(KafkaSettingsError, match=r"none\.pem"):
        security.client_options()


def test_a_password_that_was_rewritten_is_the_next_clients(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("before")
    security = Security.from_environment({**SASL, "KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "secret")})
    (tmp_path / "secret").write_text("after\n")
    assert security.client_options()["sasl_plain_password"] == "after"


@pytest.mark.parametrize("spoil", [lambda file: file.write_text(""), Path.unlink], ids=["empty", "gone"])
async def test_a_file_that_is_being_renewed_is_an_alarm_and_waited_for_and_never_ends_a_sender(
    tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("before")
    environment = {**SASL, "KAFKA_SASL_PASSWORD_FILE": str(secret)}
    settings = KafkaSettings.from_environment(environment, bootstrap="127.0.0.1:1")
    spoil(secret)
    alarms: list[bool] = []

    async def enough(seconds: float) -> None:
        alarms.append(trouble.alarm)
        if len(alarms) == 3:
            raise asyncio.CancelledError

    trouble = Trouble("Kafka", KeptNotices(), lambda: 0.0, 60.0)
    sender = KafkaSender(settings, trouble, Random(1), enough)
    with pytest.raises(asyncio.CancelledError):
        await sender.send([Outgoing("pulls", None, b"{}")])
    assert alarms == [True] * 3
    assert trouble.reason is not None
    assert str(secret) in trouble.reason


def test_every_variable_is_in_the_document() -> None:
    source = (Path(__file__).parents[2] / "pullstudy" / "bus" / "kafka" / "settings.py").read_text()
    document = (Path(__file__).parents[2] / "docs" / "bus.md").read_text()
    names = set(re.findall(r"KAFKA_[A-Z_]*[A-Z]\b", source))
    assert len(names) > 5
    assert [name for name in names if f"`{name}`" not in document and name != "KAFKA_SSL"] == []
