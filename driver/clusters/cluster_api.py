"""The API of one cluster, through kubernetes-asyncio, as bytes: answers are decoded by msgspec, never by its models.

The only module that knows the client library. Its errors are mapped to ApiError here, in one place.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from driver.errors import ApiError
from pullstudy.kube.objects import Job, Node, Page, Pod, Status
from pullstudy.pulls.event import EventList, decode_event_list

if TYPE_CHECKING:
    from kubernetes_asyncio.client import ApiClient

T = TypeVar("T")

REQUEST_SECONDS = 60.0
PATIENCE_SECONDS = 120.0  # an API server that is upgraded is away for about a minute
OPTIONAL_SECONDS = 2.0  # the same for what a sweep can do without
LAST_PAUSE_SECONDS = 10.0
GONE = 410
NOT_FOUND, CONFLICT = 404, 409
PAGE_ITEMS = 1000  # events a page, some 1 MB
FIRST_PAUSE_SECONDS = 0.25
# 408, 429 and 5xx are worth another try; 0 stands for a connection that was not made or broke.
AGAIN = frozenset((0, 408, 429, 500, 502, 503, 504))
_MERGE = "application/merge-patch+json"
_AUTH = ["BearerToken"]
_HANGS = "the kubeconfig's command does not end"

_status = msgspec.json.Decoder(Status).decode
_job = msgspec.json.Decoder(Job).decode
_pods = msgspec.json.Decoder(Page[Pod]).decode
_nodes = msgspec.json.Decoder(Page[Node]).decode

Query = Sequence[tuple[str, str]]
Sleep = Callable[[float], Awaitable[None]]


def _version(content: bytes) -> str:
    return str(msgspec.json.decode(content, type=dict[str, str]).get("gitVersion", ""))


def _node_tuple(content: bytes) -> tuple[Node, ...]:
    return _nodes(content).objects


class ClusterApi:
    """One verb a method; each raises ApiError when it has failed for good."""

    def __init__(
        self,
        client: "ApiClient",
        namespace: str,
        *,
        node_selector: Mapping[str, str] | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """``node_selector`` has the labels of the nodes that count; none: all."""
        self._client = client
        wanted = ",".join(f"{key}={value}" for key, value in (node_selector or {}).items())
        self._node_query: Query = [("labelSelector", wanted)] if wanted else []
        self.namespace = namespace
        self._sleep = sleep
        self._date = ""

    @property
    def server_time(self) -> datetime | None:
        """The server's own clock at its last answer, to the second; None where it told none."""
        try:
            return parsedate_to_datetime(self._date).astimezone(UTC)
        except ValueError:
            return None

    async def nodes(self) -> tuple[Node, ...]:
        return await self._ask("list the nodes", "GET", "/api/v1/nodes", self._node_query, decode=_node_tuple)

    async def server_version(self) -> str:
        """As the API server calls itself: v1.34.4, v1.31.2-eks-7f9249a."""
        return await self._ask("read the version", "GET", "/version", decode=_version)

    async def nodes_json(self) -> bytes:
        """All nodes, as served."""
        return await self._ask("list the nodes", "GET", "/api/v1/nodes", self._node_query, decode=bytes)

    async def configz(self, node: str) -> bytes:
        """The kubelet's own configuration."""
        what = f"read the kubelet's configz of node {node}"
        path = f"/api/v1/nodes/{node}/proxy/configz"
        return await self._ask(what, "GET", path, decode=bytes, patience_seconds=OPTIONAL_SECONDS)

    async def create_job(self, manifest: dict[str, Any]) -> Job:
        """Create the job; one of that name and labels that is there already is ours, its answer lost on the way."""
        name = manifest["metadata"]["name"]
        try:
            return await self._ask(f"create job {name}", "POST", self.jobs_path, body=manifest, decode=_job)
        except ApiError as error:
            if error.status != CONFLICT:
                raise
            found = await self.job(name)
            if not manifest["metadata"].get("labels", {}).items() <= found.metadata.labels.items():
                raise  # of another run, whose pods are on nodes of its own
            return found

    async def post(self, path: str, body: Any) -> bytes:
        """What an API that is not Kubernetes' own answers. Safe only for what may be done twice."""
        return await self._ask(f"post {path}", "POST", path, body=body, decode=bytes)

    async def job(self, name: str) -> Job:
        return await self._ask(f"read job {name}", "GET", f"{self.jobs_path}/{name}", decode=_job)

    async def delete_job(self, name: str) -> None:
        """Delete the job, and let its pods follow; one that is gone already is as good."""
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        await self.delete(f"{self.jobs_path}/{name}", options)

    async def change(self, path: str, body: Any) -> None:
        """Merge the body into an object."""
        await self._ask(f"patch {path}", "PATCH", path, body=body, decode=bytes)

    async def create(self, path: str, body: Any) -> None:
        """Create an object; one of that name that is there already is as good."""
        try:
            await self._ask(f"create {path}", "POST", path, body=body, decode=bytes)
        except ApiError as error:
            if error.status != CONFLICT:
                raise

    async def exists(self, path: str) -> bool:
        try:
            await self._ask(f"read {path}", "GET", path, decode=bytes)
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            return False
        return True

    async def delete(self, path: str, options: dict[str, Any] | None = None) -> None:
        """Delete an object or a collection; what is gone already is as good."""
        try:
            await self._ask(f"delete {path}", "DELETE", path, body=options, decode=bytes)
        except ApiError as error:
            if error.status != 404:
                raise

    async def pods(self, job: str, *, limit: int | None = None) -> tuple[Pod, ...]:
        """The pods of a job: all, or so many of them."""
        query = [self.pods_of(job)] + ([("limit", str(limit))] if limit is not None else [])
        page = await self._ask(f"list the pods of job {job}", "GET", self.pods_path, query, decode=_pods)
        return page.objects

    async def events(self, reason: str | None = None) -> EventList:
        """The events of the namespace, of one reason or all, that the API server still has."""
        query = [("fieldSelector", f"reason={reason}")] if reason else []
        return await self._ask("list the events", "GET", self.events_path, query, decode=decode_event_list)

    async def event_pages(self) -> AsyncIterator[EventList]:
        """All events of the namespace, some at a time: those of a large cluster would fill the memory at once.

        Where the rest of the list expires meanwhile, all of it comes once more, in one piece.
        """
        token = ""
        while True:
            query = [("limit", str(PAGE_ITEMS))] + ([("continue", token)] if token else [])
            try:
                page = await self._ask("list the events", "GET", self.events_path, query, decode=decode_event_list)
            except ApiError as error:
                if error.status != GONE or not token:
                    raise
                page = await self.events()
            yield page
            token = page.continue_token or ""
            if not token:
                return

    async def pod_refusals(self, owner: str) -> list[str]:
        """Why a Job's or DaemonSet's pods could not be made (a quota, a policy, a webhook): only events tell."""
        events = (await self.events("FailedCreate")).items or ()
        return [event.message or "" for event in events if event.object is not None and event.object.name == owner]

    async def list_objects(
        self,
        path: str,
        selector: tuple[str, str],
        decode: Callable[[bytes], T],
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> T:
        """Some objects, as ``decode`` reads them."""
        what = f"list {path}"
        return await self._ask(what, "GET", path, [selector], decode=decode, patience_seconds=patience_seconds)

    @asynccontextmanager
    async def watch(self, path: str, query: Query, *, silence_seconds: float) -> AsyncIterator[Any]:
        """An open watch as chunks of bytes (cut anywhere). It breaks off after so long a silence. Raises ApiError."""
        import aiohttp

        what = f"watch {path.rpartition('/')[2]}"
        timeout = aiohttp.ClientTimeout(sock_connect=REQUEST_SECONDS, sock_read=silence_seconds)
        with api_errors(what):
            response = await self._call("GET", path, [*query, ("watch", "true")], None, timeout)
        try:
            if response.status != 200:
                raise _refused(what, response, await response.read())
            yield _chunks(what, response)
        finally:
            response.close()

    @property
    def pods_path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    @property
    def jobs_path(self) -> str:
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs"

    @staticmethod
    def pods_of(job: str) -> tuple[str, str]:
        """The selector of a job's pods; the label is the one that the job controller has set since Kubernetes 1.27."""
        return ("labelSelector", f"batch.kubernetes.io/job-name={job}")

    @property
    def events_path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/events"

    async def _ask(
        self,
        what: str,
        method: str,
        path: str,
        query: Query = (),
        *,
        decode: Callable[[bytes], T],
        body: Any = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> T:
        """The answer, read. One that cannot be read (a proxy's page) is asked for again, like one that did not come."""
        loop = asyncio.get_running_loop()
        began, pause, waited = loop.time(), FIRST_PAUSE_SECONDS, 0.0
        while True:
            try:
                with api_errors(what):
                    return decode(await self._ask_once(what, method, path, query, body))
            except ApiError as error:
                # A server that hangs costs a minute a try, and no pause.
                if error.status not in AGAIN or max(waited, loop.time() - began) >= patience_seconds:
                    raise
                # Jitter spreads clients that failed together; it decides nothing else.
                wait = min(error.retry_after_seconds or pause * random.uniform(0.8, 1.2), patience_seconds)
            await self._sleep(wait)
            waited += wait
            pause = min(pause * 2, LAST_PAUSE_SECONDS)

    async def _ask_once(self, what: str, method: str, path: str, query: Query, body: Any) -> bytes:
        response = await self._call(method, path, query, body, REQUEST_SECONDS)
        async with response:
            content: bytes = await response.read()
        self._date = response.headers.get("Date", "")
        if not 200 <= response.status < 300:
            raise _refused(what, response, content)
        return content

    async def _call(self, method: str, path: str, query: Query, body: Any, timeout: Any) -> Any:
        return await self._client.call_api(
            path,
            method,
            query_params=list(query),
            header_params={"Accept": "application/json"} | ({"Content-Type": _MERGE} if method == "PATCH" else {}),
            body=body,
            auth_settings=_AUTH,
            _preload_content=False,
            _request_timeout=timeout,
        )


@contextmanager
def api_errors(what: str) -> Iterator[None]:
    """Map what the client library, aiohttp and the decoders raise, in this one place."""
    import aiohttp

    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ApiError(what, 0, str(error) or type(error).__name__) from error
    except msgspec.DecodeError as error:
        raise ApiError(what, 0, f"its answer cannot be read: {error}") from error


async def _chunks(what: str, response: Any) -> AsyncIterator[bytes]:
    with api_errors(what):
        async for chunk in response.content.iter_any():
            yield chunk


def _refused(what: str, response: Any, content: bytes) -> ApiError:
    try:
        why = _status(content).message
    except msgspec.DecodeError:
        why = content[:200].decode(errors="replace")
    after = response.headers.get("Retry-After", "")
    return ApiError(
        what, response.status, why or response.reason, retry_after_seconds=float(after) if after.isdigit() else None
    )


def _renewing(loader: Any) -> Callable[[Any], Awaitable[None]]:
    """Asked before each request: a token that a kubeconfig's command made is made anew 5 minutes before its time."""
    from kubernetes_asyncio.config import ConfigException

    one_at_a_time = asyncio.Lock()

    async def renew(configuration: Any) -> None:
        async with one_at_a_time:
            try:
                async with asyncio.timeout(REQUEST_SECONDS):
                    await loader.load_from_exec_plugin()  # at once where the token is still good
            except ConfigException as error:  # credentials that ran out: new ones may yet be laid out
                raise ApiError("renew the token", 0, str(error)) from error
            except TimeoutError as error:
                raise ApiError("renew the token", 0, _HANGS) from error
        configuration.api_key["BearerToken"] = loader.token

    return renew


@contextmanager
def _kubeconfig_errors(kubeconfig: Path) -> Iterator[None]:
    from kubernetes_asyncio.config import ConfigException
    from yaml import YAMLError  # type: ignore[import-untyped]

    try:
        yield
    except (ConfigException, YAMLError, OSError, ValueError, TypeError, AttributeError) as error:
        unsaid = _HANGS if isinstance(error, TimeoutError) else type(error).__name__
        reason = str(error).partition("\n")[0] or unsaid
        raise ApiError(f"read kubeconfig {kubeconfig}", 0, reason) from error


def current_context(kubeconfig: Path) -> str:
    """The name of the context that is in force now. Raises ApiError."""
    from kubernetes_asyncio.config import list_kube_config_contexts

    with _kubeconfig_errors(kubeconfig):
        _, current = list_kube_config_contexts(str(kubeconfig))
        return str(current["name"]) if current else ""


@asynccontextmanager
async def open_cluster(
    kubeconfig: Path,
    namespace: str,
    *,
    node_selector: Mapping[str, str] | None = None,
    sleep: Sleep = asyncio.sleep,
) -> AsyncIterator[ClusterApi]:
    """The API of the kubeconfig's current context; paths are merged as KUBECONFIG's are. Raises ApiError."""
    from kubernetes_asyncio import client, config

    configuration = client.Configuration()
    with _kubeconfig_errors(kubeconfig):
        async with asyncio.timeout(REQUEST_SECONDS):
            loader = await config.load_kube_config(config_file=str(kubeconfig), client_configuration=configuration)
    if hasattr(loader, "exec_plugin_expiry"):
        configuration.refresh_api_key_hook = _renewing(loader)
    with api_errors(f"read the certificates of kubeconfig {kubeconfig}"):
        opened = client.ApiClient(configuration)
    async with opened as api_client:
        yield ClusterApi(api_client, namespace, node_selector=node_selector, sleep=sleep)
