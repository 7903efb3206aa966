"""How a cluster is reached: a kubeconfig file, or the service account of the pod that this runs in."""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pullstudy.kube.errors import KubeconfigError

if TYPE_CHECKING:
    from kubernetes_asyncio.client import ApiClient, Configuration

LONGEST_TOKEN = 65_536  # no server takes a longer header
_USER_INFO = re.compile(r"//\S*@")  # to the last @: a password may hold others


def default_kubeconfig() -> str:
    """What kubectl takes where nothing is said: KUBECONFIG (paths, merged), else ~/.kube/config."""
    return os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")


def current_context(kubeconfig: str | Path) -> str:
    """The name of the context that is in force now, empty where none is. Raises KubeconfigError."""
    from kubernetes_asyncio.config import list_kube_config_contexts

    paths = str(kubeconfig)
    _look_at(paths)
    with _understood(paths):
        _, current = list_kube_config_contexts(paths)
        return str(current["name"]) if current else ""


@dataclass(frozen=True)
class Access:
    """The way to a cluster. A token that a kubeconfig's command made is made anew 5 minutes before its time; reading
    all of it again renews every other login, which the client's library does not do by itself."""

    kubeconfig: str | None = None  # paths, merged
    in_cluster: bool = False
    login_seconds: float = 60.0  # for a kubeconfig's command: one that waits for somebody would stop the watch for good

    def __str__(self) -> str:
        return (
            "the pod's service account" if self.in_cluster else f"kubeconfig {self.kubeconfig or default_kubeconfig()}"
        )

    async def make_client(self) -> "ApiClient":
        """Raises KubeconfigError."""
        # Half a second and 60 MiB: --help need not pay for it.
        from kubernetes_asyncio.client import ApiClient, Configuration

        # Configuration() would copy process-wide defaults that anybody may have set.
        configuration = type.__call__(Configuration)
        await self.log_in(configuration)
        try:
            client = ApiClient(configuration)
            rest: Any = client.rest_client
            rest.pool_manager = _SentNowhereElse(rest.pool_manager)
            return client
        except OSError as error:  # also ssl.SSLError: a certificate that is being renewed may not fit its key yet
            raise KubeconfigError(f"{self}: its certificates cannot be used: {error}") from error

    async def log_in(self, configuration: "Configuration") -> None:
        """Read the credentials (a kubeconfig's command is run for a new token). Raises KubeconfigError."""
        if self.in_cluster:
            _load_service_account(configuration)
        else:
            await _load_kubeconfig(self.kubeconfig or default_kubeconfig(), configuration, self.login_seconds)


class _SentNowhereElse:
    """The client's session without redirects: aiohttp would follow them, to http too, and show anybody the client's
    certificate."""

    def __init__(self, session: Any) -> None:
        self._session = session

    async def request(self, **arguments: Any) -> Any:
        return await self._session.request(**arguments, allow_redirects=False)

    async def close(self) -> None:
        await self._session.close()


def without_passwords(text: str) -> str:
    """A text with what is before the host in its addresses left out."""
    return _USER_INFO.sub("//***@", text)


def _bounded_token(configuration: "Configuration", where: str) -> None:
    """As kubectl reads it: without the spaces and line ends around it. Raises KubeconfigError, which does not show it.

    A line end in it would be a header of its own.
    """
    before = configuration.api_key.get("BearerToken")
    if before is None:
        return
    scheme, _, token = str(before).partition(" ")
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or len(token) > LONGEST_TOKEN:
        raise KubeconfigError(f"{where}: its token is empty, or holds what no header can: write the token again")
    configuration.api_key["BearerToken"] = f"{scheme} {token}"


def _names_token_file(loader: Any) -> bool:
    user: Any = getattr(loader, "_user", None)  # the library shows it nowhere else
    return user is not None and "tokenFile" in user


def _check_proxy(configuration: "Configuration", where: str) -> None:
    proxy = configuration.proxy
    if not proxy:
        return
    try:
        parts = urlsplit(proxy)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except (ValueError, TypeError, AttributeError):
        usable = False
    if not usable:
        raise KubeconfigError(f"{where}: its proxy-url is no http://HOST:PORT or https://HOST:PORT")


def _load_service_account(configuration: "Configuration") -> None:
    from kubernetes_asyncio.config import ConfigException, load_incluster_config

    try:
        load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError, ValueError) as error:
        raise KubeconfigError(f"--in-cluster: {error} This works only in a pod; else give --kubeconfig") from error
    _bounded_token(configuration, "--in-cluster")
    read_again: Any = configuration.refresh_api_key_hook  # of the token's file, once a minute, before a request

    def refresh(changed: "Configuration") -> None:
        # As client-go does: the token that was read goes on until the file has another. If it expires, 401 tells.
        before = changed.api_key.get("BearerToken")
        try:
            read_again(changed)
            _bounded_token(changed, "--in-cluster")
        except (ConfigException, OSError, ValueError, KubeconfigError):
            changed.api_key["BearerToken"] = before

    configuration.refresh_api_key_hook = refresh


async def _load_kubeconfig(paths: str, configuration: "Configuration", limit_seconds: float) -> None:
    from kubernetes_asyncio.config import load_kube_config

    _look_at(paths)
    try:
        async with asyncio.timeout(limit_seconds):
            with _understood(paths):
                loader = await load_kube_config(
                    config_file=paths, client_configuration=configuration, persist_config=False
                )
    except TimeoutError as error:
        raise _hangs(paths, limit_seconds) from error
    if "BearerToken" not in configuration.api_key and _names_token_file(loader):
        # The library would ask without any login.
        raise KubeconfigError(f"kubeconfig {paths}: its tokenFile is empty: write the token again")
    _bounded_token(configuration, f"kubeconfig {paths}")
    _check_proxy(configuration, f"kubeconfig {paths}")
    if hasattr(loader, "exec_plugin_expiry"):
        configuration.refresh_api_key_hook = _renewing(loader, paths, limit_seconds)


def _renewing(loader: Any, paths: str, limit_seconds: float) -> Callable[["Configuration"], Awaitable[None]]:
    """Asked before each request. Raises KubeconfigError."""
    one_at_a_time = asyncio.Lock()

    async def renew(configuration: "Configuration") -> None:
        async with one_at_a_time:
            try:
                async with asyncio.timeout(limit_seconds):
                    with _understood(paths):
                        await loader.load_from_exec_plugin()  # at once where the token is still good
            except TimeoutError as error:
                raise _hangs(paths, limit_seconds) from error
        configuration.api_key["BearerToken"] = loader.token
        _bounded_token(configuration, f"kubeconfig {paths}")

    return renew


@contextmanager
def _understood(paths: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise
    except Exception as error:  # yaml, ssl, key and type errors alike: the file is not understood
        if isinstance(error, TypeError | AttributeError):  # the library's own, of a text, a list or nothing at all
            reason = "it has not the layout of a kubeconfig: clusters, users, contexts"
        else:
            reason = without_passwords(str(error).partition("\n")[0]) or type(error).__name__
        raise KubeconfigError(f"kubeconfig {paths} cannot be understood: {reason}") from error


def _hangs(paths: str, limit_seconds: float) -> KubeconfigError:
    return KubeconfigError(f"kubeconfig {paths}: its command did not end within {limit_seconds:g} s")


def _look_at(paths: str) -> None:
    files = [Path(path).expanduser() for path in paths.split(os.pathsep) if path]
    found = [path for path in files if path.is_file()]
    if not found:
        raise KubeconfigError(
            f"no kubeconfig at {paths}: give --kubeconfig FILE, set KUBECONFIG, or --in-cluster in a pod"
        )
    for path in found:
        if not os.access(path, os.R_OK):
            raise KubeconfigError(f"kubeconfig {path} cannot be read: permission denied")
