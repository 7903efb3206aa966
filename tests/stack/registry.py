"""A real image registry, open or with a password, whose blobs can be damaged on its disk.

On a loopback port, or at a place of a network of the stack's own.
"""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.stack.error import StackError
from tests.stack.home import StackHome, system_program
from tests.stack.image import Layout, make_image
from tests.stack.network import Place
from tests.stack.port import LOOPBACK, free_port
from tests.stack.process import Process
from tests.stack.server import Server, answers


@dataclass(frozen=True, slots=True)
class Pushed:
    """An image in the registry."""

    reference: str
    """As a pod names it: host:port/repository:tag."""
    digest: str
    layers: tuple[str, ...]
    layer_bytes: tuple[int, ...]

    @property
    def image_bytes(self) -> int:
        """The sum of its layers as they cross the wire."""
        return sum(self.layer_bytes)


PORT = 5000
"""At a place, where no other server is."""
_LOGGED = re.compile(r'"GET /v2/\S+/blobs/(\S+) HTTP/[0-9.]+" 20[06] ([0-9]+) ')


class Registry(Server):
    """docker-registry; with ``credentials`` (user, password) it asks for them at every request."""

    def __init__(
        self,
        home: StackHome,
        directory: Path,
        *,
        credentials: tuple[str, str] | None = None,
        place: Place | None = None,
    ) -> None:
        self._home = home
        self._directory = directory
        self._storage = directory / "storage"
        self.credentials = credentials
        self._place = place
        self.host = f"{place.address}:{PORT}" if place else f"{LOOPBACK}:{free_port()}"
        configuration = directory / "registry.json"
        directory.mkdir(parents=True, exist_ok=True)
        configuration.write_text(json.dumps(self._configuration()))
        program = system_program("docker-registry", "docker-registry")
        self._command = [program, "serve", str(configuration)]
        super().__init__(Process("registry", self._command, directory))

    async def start(self) -> None:
        """Start it and return when it answers."""
        if self._place is not None:
            self.process.command = self._place.inside(self._command)
        await super().start()

    def _configuration(self) -> dict[str, object]:
        storage = {"filesystem": {"rootdirectory": str(self._storage)}, "delete": {"enabled": True}}
        # Without a secret in the file each restart would refuse the uploads begun before it.
        http = {"addr": self.host, "secret": "stack"}
        configuration: dict[str, object] = {"version": 0.1, "storage": storage, "http": http}
        if self.credentials is not None:
            path = self._directory / "htpasswd"
            path.write_text(_htpasswd(*self.credentials))
            configuration["auth"] = {"htpasswd": {"realm": "stack", "path": str(path)}}
        return configuration

    async def is_ready(self) -> bool:
        """Whether /v2/ answers: 200, or 401 where it asks for a password."""
        if self._place is not None:
            return "listening on" in self.process.output()
        return await answers(f"http://{self.host}/v2/", statuses=(200, 401))

    async def push_new(self, name: str, layers: Sequence[int], *, seed: int = 0) -> Pushed:
        """Make an image with layers of these sizes in bytes and push it as ``repository:tag``."""
        scratch = self._directory / "layouts" / name.replace("/", "_").replace(":", "_")
        layout = await asyncio.to_thread(make_image, self._home, scratch, layers, seed=seed)
        try:
            return await self.push(name, layout)
        finally:
            shutil.rmtree(scratch)

    async def push(self, name: str, layout: Layout) -> Pushed:
        """Push an image from its layout as ``repository:tag``.

        Raises StackError with skopeo's complaint if it fails.
        """
        reference = f"{self.host}/{name}"
        login = ["--dest-creds", ":".join(self.credentials)] if self.credentials else []
        source, target = f"oci:{layout.directory}:latest", f"docker://{reference}"
        program = system_program("skopeo", "skopeo")
        options = ["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", *login]
        pipe, together = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
        child = await asyncio.create_subprocess_exec(program, *options, source, target, stdout=pipe, stderr=together)
        output, _ = await child.communicate()
        if child.returncode != 0:
            raise StackError(f"{name} was not pushed: {output.decode(errors='replace').strip()}")
        return Pushed(reference, layout.digest, layout.layers, layout.layer_bytes)

    def pull_secret(self, name: str) -> dict[str, object]:
        """The Secret a pod needs to pull from here, for its ``imagePullSecrets``."""
        user, password = self.credentials or ("", "")
        login = json.dumps({"auths": {self.host: {"username": user, "password": password}}})
        kind = "kubernetes.io/dockerconfigjson"
        return {"metadata": {"name": name}, "type": kind, "stringData": {".dockerconfigjson": login}}

    def served(self) -> list[tuple[str, int]]:
        """By its own log: the digest and the bytes of each blob that was got from it, in that order."""
        return [(digest, int(size)) for digest, size in _LOGGED.findall(self.process.output())]

    def blob(self, digest: str) -> Path:
        """Where a blob lies on the registry's disk."""
        algorithm, _, value = digest.partition(":")
        return self._storage / "docker/registry/v2/blobs" / algorithm / value[:2] / value / "data"

    def corrupt(self, digest: str) -> None:
        """Flip a bit in the middle of a blob: it is served with its right length and wrong content."""
        with self.blob(digest).open("r+b") as blob:
            middle = blob.seek(0, 2) // 2
            blob.seek(middle)
            byte = blob.read(1)[0]
            blob.seek(middle)
            blob.write(bytes([byte ^ 1]))


def _htpasswd(user: str, password: str) -> str:
    program = system_program("htpasswd", "apache2-utils")
    # -B: the registry takes bcrypt and nothing else.
    done = subprocess.run([program, "-nbB", user, password], capture_output=True, text=True, check=True)
    return done.stdout.strip() + "\n"
