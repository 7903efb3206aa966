"""A real Kafka: one broker that is its own controller (KRaft), plain or with TLS and SASL."""

import asyncio
import base64
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from tests.stack.certificate import Authority
from tests.stack.error import StackError
from tests.stack.home import StackHome, system_program
from tests.stack.port import LOOPBACK, free_port
from tests.stack.process import Process
from tests.stack.server import Server

HEAP = "-Xmx512m"
MECHANISMS = "PLAIN,SCRAM-SHA-512"
STARTED = "Kafka Server started"


@dataclass(frozen=True, slots=True)
class Security:
    """What the broker's listener for clients asks of them; the certificates are made with the broker."""

    tls: bool = False
    users: dict[str, str] = field(default_factory=dict)
    """User -> password, for SASL PLAIN and SCRAM-SHA-512; empty is no SASL."""
    acl: bool = False
    """Whether users (but ``admin``) may do only what an ACL allows."""

    @property
    def protocol(self) -> str:
        """Kafka's name of it: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."""
        transport = "SSL" if self.tls else "PLAINTEXT"
        return f"SASL_{transport}" if self.users else transport


class Kafka(Server):
    """A broker on a loopback port.

    ``settings`` are properties of server.properties that override the ones here, such as ``message.max.bytes``.
    """

    def __init__(
        self,
        home: StackHome,
        directory: Path,
        *,
        security: Security | None = None,
        settings: dict[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self.bootstrap = f"{LOOPBACK}:{self.port}"
        self.security = security or Security()
        self.authority = Authority(directory / "tls") if self.security.tls else None
        self._java = [system_program("java", "openjdk-17-jre-headless"), "-cp", home.kafka_classpath()]
        self._directory = directory
        self._properties = directory / "server.properties"
        self._settings = self._listeners() | BROKER | {"log.dirs": str(directory / "data")} | (settings or {})
        command: list[str | Path] = [*self._java, HEAP, "-XX:TieredStopAtLevel=1", "kafka.Kafka", self._properties]
        super().__init__(Process("kafka", command, directory))

    async def start(self) -> None:
        """Start it; the first time, format its data directory."""
        if not self._properties.exists():
            self._format()
        await super().start()

    async def is_ready(self) -> bool:
        """Whether it said so: the broker is registered and its listener open by then."""
        return STARTED in self.process.output()

    async def allow(self, user: str, *operations: str, topics: str) -> None:
        """An ACL for all topics whose names begin so. Raises StackError."""
        # The inner listener takes everybody for a superuser.
        inner = self._settings["listeners"].rpartition("//")[2]
        asked = [word for operation in operations for word in ("--operation", operation)]
        command = [*self._java, "org.apache.kafka.tools.AclCommand", "--bootstrap-server", inner, "--add"]
        where = ["--topic", topics, "--resource-pattern-type", "prefixed"]
        pipe, joined = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
        child = await asyncio.create_subprocess_exec(
            *command, "--allow-principal", f"User:{user}", *asked, *where, stdout=pipe, stderr=joined
        )
        printed, _ = await child.communicate()
        if child.returncode != 0:
            raise StackError(f"the ACL could not be made: {printed.decode(errors='replace')}")

    def _format(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        lines = [f"{name}={value}" for name, value in self._settings.items()]
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        scram = [
            word
            for user, password in self.security.users.items()
            for word in ("--add-scram", f"SCRAM-SHA-512=[name={user},password={password}]")
        ]
        fresh = self._directory / "server.properties.new"
        fresh.write_text("\n".join(lines) + "\n")
        # One word: an id may begin with a dash, and would be taken for an option.
        command = [
            *self._java,
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={cluster}",
            "-c",
            str(fresh),
            *scram,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise StackError(f"Kafka's data directory could not be formatted: {done.stdout}{done.stderr}")
        fresh.replace(self._properties)

    def _listeners(self) -> dict[str, str]:
        controller = f"{LOOPBACK}:{free_port()}"
        protocol = self.security.protocol
        settings = {
            "controller.quorum.bootstrap.servers": controller,
            "controller.quorum.voters": f"1@{controller}",
            "listeners": f"CLIENTS://{self.bootstrap},CONTROLLER://{controller},BROKER://{LOOPBACK}:{free_port()}",
            "advertised.listeners": "",
            "listener.security.protocol.map": f"CLIENTS:{protocol},CONTROLLER:PLAINTEXT,BROKER:PLAINTEXT",
        }
        inner = settings["listeners"].rpartition(",")[2]
        settings["advertised.listeners"] = f"CLIENTS://{self.bootstrap},{inner}"
        return settings | self._tls() | self._sasl()

    def _tls(self) -> dict[str, str]:
        if self.authority is None:
            return {}
        made = self.authority.server("kafka")
        store = self._directory / "tls" / "kafka.pem"
        store.write_text(made.key.read_text() + made.certificate.read_text())
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(store),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.authority.certificate),
        }

    def _sasl(self) -> dict[str, str]:
        if not self.security.users:
            return {}
        users = " ".join(f'user_{user}="{password}"' for user, password in self.security.users.items())
        prefix = "listener.name.clients.{}.sasl.jaas.config"
        modules = "org.apache.kafka.common.security"
        settings = {
            "sasl.enabled.mechanisms": MECHANISMS,
            prefix.format("plain"): f"{modules}.plain.PlainLoginModule required {users};",
            prefix.format("scram-sha-512"): f"{modules}.scram.ScramLoginModule required;",
        }
        if self.security.acl:
            settings["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
            settings["super.users"] = "User:admin;User:ANONYMOUS"
        return settings


BROKER = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "BROKER",
    "num.partitions": "3",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "2",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    # A killed broker may register again only when its old session is over: 9 s by default.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}
"""One broker that starts quickly, comes back quickly and waits for no second one."""
