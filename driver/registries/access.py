"""The way to one repository of a registry: its address, its login, its redirects, and what an answer may be.

Source: the distribution specification (https://github.com/opencontainers/distribution-spec), and for logins
https://distribution.github.io/distribution/spec/auth. What an answer may be is bounded. Credentials go to the
registry's own host and to where it has its tokens made, and to no host that one of them redirects to.
"""

import base64
import ipaddress
import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import msgspec

from driver.errors import DriverError
from driver.registries.credentials import basic_credentials
from driver.registries.image_documents import MOST_DOCUMENT_BYTES
from pullstudy.pulls.image import FullReference

if TYPE_CHECKING:
    import aiohttp

ANSWER_SECONDS = 30.0
_MOST_OBJECTS = 20_000
_MOST_REDIRECTS = 3
_MOST_COMPLAINT = 64 << 10  # bytes of an answer that refuses
_HUB = "registry-1.docker.io"  # where docker.io has its API
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_REDIRECTS = (301, 302, 303, 307, 308)

Complaint = Callable[[str, str], DriverError]  # what is wrong, and what to do; as an error about the image
Body = Callable[[], AsyncIterator[bytes]]  # made anew for each request that sends it


class UnreachableError(Exception):
    """No answer, or none that ended; ``__cause__`` says why. For whoever may try again; else it is a complaint."""


class _Token(msgspec.Struct):
    token: str = ""
    access_token: str = ""


class Answer(msgspec.Struct):
    """What came back. Header names are in any case; the body of other statuses than 200 is cut."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class RegistryAccess:
    """Raises what ``complaint`` makes of a problem."""

    def __init__(
        self,
        session: "aiohttp.ClientSession",
        name: FullReference,
        environment: Mapping[str, str],
        complaint: Complaint,
        *,
        actions: str = "pull",
        plain_http: bool = False,
    ) -> None:
        """``plain_http``: without TLS, which is else for this machine alone."""
        self._session = session
        self._name = name
        self.complaint = complaint
        self._actions = actions
        self._plain = plain_http
        self._basic = basic_credentials(name.host, environment)
        self._authorization: str | None = None
        self.host = _HUB if name.host == "docker.io" else name.host

    def url(self, path: str) -> str:
        """Of something in the repository."""
        scheme = "http" if self._plain or is_loopback(self.host) else "https"
        return f"{scheme}://{self.host}/v2/{self._name.repository}/{path}"

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Redirects are followed. An answer that asks for a login is answered with what Docker's configuration has."""
        answer = await self._get(url, self._authorization, headers=headers)
        if answer.status == 401 and self._authorization is None:
            self._authorization = await self._authorize(answer.headers.get("WWW-Authenticate", ""))
            answer = await self._get(url, self._authorization, headers=headers)
        return answer

    async def send(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: Body | None = None
    ) -> Answer:
        """A request that changes something: no redirect is followed. Raises UnreachableError where no answer came.

        A token may have come to its end: a login is asked for anew once.
        """
        self.check_url(url)
        if urlsplit(url).netloc != self.host:  # where a registry has its uploads put: a login is none of its business
            return await self._exchange(method, url, headers or {}, None, body)
        answer = await self._exchange(method, url, self._with_login(headers), None, body)
        if answer.status == 401:
            self._authorization = await self._authorize(answer.headers.get("WWW-Authenticate", ""))
            answer = await self._exchange(method, url, self._with_login(headers), None, body)
        return answer

    def _with_login(self, headers: Mapping[str, str] | None) -> dict[str, str]:
        return {**(headers or {}), **({"Authorization": self._authorization} if self._authorization else {})}

    def next_url(self, url: str, location: str) -> str:
        """Where an answer to ``url`` leads."""
        found = self._joined(url, location)
        self.check_url(found)
        return found

    def check(self, answer: Answer) -> None:
        """Anything else than 200 is a problem."""
        if answer.status == 200:
            return
        if answer.status in (401, 403):
            raise self.complaint(f"{self.host} refuses it ({answer.status})", f"docker login {self._name.host}")
        if answer.status == 404:
            raise self.complaint(f"{self.host} has no such image (404)", "check its name")
        if answer.status == 429:
            raise self.complaint(f"{self.host} is asked too often (429)", f"wait, or docker login {self._name.host}")
        raise self.complaint(f"{self.host} answered {answer.status}", "try again later")

    async def _authorize(self, challenge: str) -> str:
        """The header for the next request, by what the registry asks for."""
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic" and self._basic is not None:
            return self._basic
        asked = dict(_PARAMETER.findall(rest))
        if scheme.lower() != "bearer" or "realm" not in asked:
            raise self.complaint(f"{self.host} asks for a login", f"docker login {self._name.host}")
        self.check_url(asked["realm"])
        query = {"scope": f"repository:{self._name.repository}:{self._actions}"}
        if "service" in asked:
            query["service"] = asked["service"]
        answer = await self._get(asked["realm"], self._basic, query)
        self.check(answer)
        token = self.decoded(answer.body, _Token)
        return f"Bearer {_printable_token(token.token or token.access_token)}"

    async def _get(
        self,
        url: str,
        authorization: str | None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        host = urlsplit(url).netloc
        for _ in range(_MOST_REDIRECTS + 1):
            given = {"Accept-Encoding": "identity", **(headers or {})}
            if authorization is not None:
                given["Authorization"] = authorization
            answer = await self._answer(url, given, query)
            if answer.status not in _REDIRECTS:
                return answer
            url, query = self.next_url(url, answer.headers.get("Location", "")), None
            authorization = authorization if urlsplit(url).netloc == host else None
        raise self.complaint(f"{host} redirects more than {_MOST_REDIRECTS} times", "")

    async def _answer(self, url: str, headers: Mapping[str, str], query: Mapping[str, str] | None) -> Answer:
        try:
            return await self._exchange("GET", url, headers, query, None)
        except UnreachableError as error:
            host, cause = urlsplit(url).netloc, error.__cause__
            if isinstance(cause, TimeoutError):
                raise self.complaint(f"{host} did not answer within {ANSWER_SECONDS:.0f} s", "try again") from cause
            raise self.complaint(f"{host} cannot be asked: {cause}", "check its name") from cause

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], query: Mapping[str, str] | None, body: Body | None
    ) -> Answer:
        import aiohttp

        try:
            proxy = _proxy_of(url)
            async with self._session.request(
                method,
                url,
                headers=headers,
                params=query,
                data=body() if body is not None else None,
                allow_redirects=False,
                proxy=proxy.url,
                proxy_headers=proxy.headers,
            ) as response:
                return Answer(response.status, response.headers, await self._body(url, response))
        except (aiohttp.ClientError, ValueError, OSError) as error:  # TimeoutError is an OSError
            raise UnreachableError from error

    async def _body(self, url: str, response: "aiohttp.ClientResponse") -> bytes:
        if response.status != 200:
            return await response.content.read(_MOST_COMPLAINT) if response.status >= 400 else b""
        body = b""
        while len(body) <= MOST_DOCUMENT_BYTES and (more := await response.content.read(MOST_DOCUMENT_BYTES)):
            body += more
        if len(body) > MOST_DOCUMENT_BYTES:
            raise self.complaint(f"{urlsplit(url).netloc} answered with more than {MOST_DOCUMENT_BYTES >> 20} MiB", "")
        return body

    def _joined(self, url: str, location: str = "") -> str:
        try:
            urlsplit(url)
            return urljoin(url, location)
        except ValueError as error:
            raise self.complaint(f"{self.host} leads to an address that is none ({error})", "") from error

    def check_url(self, url: str) -> None:
        """Only a registry of this machine, or one told to be plain, may lead on without TLS: to its own kind."""
        parts = urlsplit(self._joined(url))
        own = self._plain and parts.netloc == self.host
        plain = parts.scheme == "http" and (own or (is_loopback(self.host) and is_loopback(parts.netloc)))
        if parts.scheme != "https" and not plain:
            raise self.complaint(
                f"{self.host} leads to {parts.scheme or 'no'}://{parts.netloc}, which is not https", ""
            )

    def decoded(self, body: bytes, kind: Any) -> Any:
        """A document of the registry's."""
        if body.count(b"{") > _MOST_OBJECTS:
            raise self.complaint(f"{self.host} answered with more than {_MOST_OBJECTS:,} objects", "")
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise self.complaint(f"{self.host} answered no image manifest ({error})", "") from error


def _printable_token(text: str) -> str:
    """What may stand in a header."""
    return "".join(letter for letter in text if "!" <= letter <= "~")


def is_loopback(netloc: str) -> bool:
    """Whether it is this machine."""
    host = urlsplit(f"//{netloc}").hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Proxy(NamedTuple):
    """Where to go through, with its login apart: an address stands in errors."""

    url: str | None = None
    headers: dict[str, str] | None = None


def _proxy_of(url: str) -> _Proxy:
    """By the environment. Not aiohttp's own way, which would send logins from ~/.netrc too. Raises ValueError."""
    parts = urlsplit(url)
    told = getproxies().get(parts.scheme)
    if not told or is_loopback(parts.netloc) or proxy_bypass(parts.hostname or ""):
        return _Proxy()
    proxy = urlsplit(told if "://" in told else f"http://{told}")
    login, _, address = proxy.netloc.rpartition("@")
    if not login:
        return _Proxy(proxy.geturl())
    encoded = base64.b64encode(unquote(login).encode()).decode()
    return _Proxy(proxy._replace(netloc=address).geturl(), {"Proxy-Authorization": f"Basic {encoded}"})
