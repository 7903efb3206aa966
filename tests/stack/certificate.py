"""Certificates of the stack's own: an authority a test, and what it signs, all made by openssl on this machine."""

import ssl
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.stack.error import StackError
from tests.stack.home import system_program

DAYS = "7"
KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its private key, both as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates that only those who trust ``certificate`` accept."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.certificate = directory / "ca.crt"
        self._key = directory / "ca.key"
        if not self.certificate.exists():
            directory.mkdir(parents=True, exist_ok=True)
            extensions = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
            files = ["-keyout", str(self._key), "-out", str(self.certificate)]
            openssl("req", "-x509", *KEY, "-subj", "/CN=pullstudy-stack", "-days", DAYS, *extensions, *files)

    def server(self, name: str, hosts: Sequence[str] = ("IP:127.0.0.1", "DNS:localhost")) -> Certificate:
        """A certificate for a server reached under these addresses."""
        return self._sign(name, f"/CN={name}", ["extendedKeyUsage=serverAuth", f"subjectAltName={','.join(hosts)}"])

    def client(self, user: str, groups: Sequence[str] = ()) -> Certificate:
        """A certificate that says who a client is, as Kubernetes reads it: CN is the user, each O a group."""
        subject = "".join(f"/O={group}" for group in groups) + f"/CN={user}"
        return self._sign(user.replace(":", "-"), subject, ["extendedKeyUsage=clientAuth"])

    def trust(self) -> ssl.SSLContext:
        """A client's context that trusts this authority and no other."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def _sign(self, name: str, subject: str, extensions: list[str]) -> Certificate:
        made = Certificate(self._directory / f"{name}.crt", self._directory / f"{name}.key")
        request, details = self._directory / f"{name}.csr", self._directory / f"{name}.ext"
        always = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature"]
        details.write_text("\n".join([*always, *extensions, "authorityKeyIdentifier=keyid", ""]))
        openssl("req", "-new", *KEY, "-subj", subject, "-keyout", str(made.key), "-out", str(request))
        issuer = ["-CA", str(self.certificate), "-CAkey", str(self._key), "-CAcreateserial"]
        files = ["-in", str(request), "-extfile", str(details), "-out", str(made.certificate)]
        openssl("x509", "-req", *issuer, "-days", DAYS, *files)
        return made


def openssl(*arguments: str, given: bytes = b"") -> bytes:
    """What openssl prints.

    Raises StackError with its complaint if it fails.
    """
    program = system_program("openssl", "openssl")
    done = subprocess.run([program, *arguments], input=given, capture_output=True, check=False)
    if done.returncode != 0:
        raise StackError(f"openssl {arguments[0]} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
