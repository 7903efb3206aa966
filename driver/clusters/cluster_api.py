"""What the driver asks of one cluster's API: a verb a method, answers decoded, failures that pass waited out.

The requests are pullstudy.kube's; an API server that is away is asked again for as long as the caller has patience.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, Protocol, TypeVar

import msgspec

from pullstudy.kube.access import Access
from pullstudy.kube.client import KubeClient, Query, open_client
from pullstudy.kube.clock import LoopClock
from pullstudy.kube.errors import ApiError, KubeconfigError, TooLargeError, TransportError
from pullstudy.kube.list_pages import list_pages
from pullstudy.kube.list_watch import ListWatch
from pullstudy.kube.object_watch import TRANSIENT, Change, Named, ObjectHandler
from pullstudy.kube.objects import Job, Node, Page
from pullstudy.kube.settings import WatchSettings
from pullstudy.kube.watch_loop import WatchLoop
from pullstudy.kube.watch_protocol import WatchProtocol
from pullstudy.polling import Sleep
from pullstudy.pulls.backoff import Backoff
from pullstudy.pulls.event import EventList, decode_event_list
from pullstudy.pulls.pod import Metadata, Pod


class _Listed(Protocol):
    """An object of a list."""

    @property
    def metadata(self) -> Metadata: ...


class _AnyObject(msgspec.Struct, frozen=True):
    metadata: Metadata = Metadata()


class _NodeAsServed(msgspec.Struct, frozen=True):
    metadata: Metadata
    text: bytes


T = TypeVar("T")
N = TypeVar("N", bound=Named)
L = TypeVar("L", bound=_Listed)

PATIENCE_SECONDS = 120.0  # an API server that is upgraded is away for about a minute; a sweep has limits.api_seconds
TOLD_SECONDS = 2.0  # before a next try; a shorter wait is of a server that is restarted
OPTIONAL_SECONDS = 2.0  # the same for what a sweep can do without
UNAUTHORIZED, NOT_FOUND, CONFLICT = 401, 404, 409
PAGE_ITEMS = 1000  # events a page, some 1 MB
PAGE_OBJECTS = 500  # nodes, of some 20 kB each, or pods
# Sweeps wait for each change: sooner than a collector, and without gathering events for the disk.
SETTINGS = WatchSettings(
    answer_bytes=256 << 20,
    backoff=Backoff(first_seconds=0.25, most_seconds=10.0),
    pause_seconds=0.0,
    reconnect_seconds=0.0,
)

_job = msgspec.json.Decoder(Job).decode
_pods = msgspec.json.Decoder(Page[Pod]).decode
_nodes = msgspec.json.Decoder(Page[Node]).decode
_object = msgspec.json.Decoder(_AnyObject).decode
_raw_objects = msgspec.json.Decoder(Page[msgspec.Raw]).decode


def _version(content: bytes) -> str:
    return str(msgspec.json.decode(content, type=dict[str, str]).get("gitVersion", ""))


def _nodes_as_served(content: bytes) -> Page[_NodeAsServed]:
    page = _raw_objects(content)
    return Page(page.metadata, tuple(_NodeAsServed(_object(raw).metadata, bytes(raw)) for raw in page.objects))


class ClusterApi:
    """Each verb raises ApiError when it has failed for good."""

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        *,
        node_selector: Mapping[str, str] | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
        sleep: Sleep = asyncio.sleep,
        random: Random | None = None,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        """``node_selector`` has the labels of the nodes that count; none: all. For ``patience_seconds`` the API server
        may be away, which ``note`` is told where it lasts."""
        self._client = client
        wanted = ",".join(f"{key}={value}" for key, value in (node_selector or {}).items())
        self._node_query: Query = [("labelSelector", wanted)] if wanted else []
        self.namespace = namespace
        self._patience_seconds = patience_seconds
        self._clock = LoopClock(sleep)
        self._random = random or Random()
        self._note = note

    @property
    def server_time(self) -> datetime | None:
        """The server's own clock at its last answer, to the second; None where it told none."""
        return self._client.server_time

    async def nodes(self) -> tuple[Node, ...]:
        return await self._all("list the nodes", "/api/v1/nodes", self._node_query, _nodes)

    async def server_version(self) -> str:
        """As the API server calls itself: v1.34.4, v1.31.2-eks-7f9249a."""
        return await self._ask("read the version", "GET", "/version", decode=_version)

    async def nodes_json(self) -> bytes:
        """All nodes, each as served."""
        nodes = await self._all("list the nodes", "/api/v1/nodes", self._node_query, _nodes_as_served)
        return b'{"kind":"NodeList","apiVersion":"v1","items":[%b]}\n' % b",".join(node.text for node in nodes)

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
            if error.status != NOT_FOUND:
                raise

    async def pods(self, job: str) -> tuple[Pod, ...]:
        return await self._all(f"list the pods of job {job}", self.pods_path, [self.pods_of(job)], _pods)

    async def has_pods(self, job: str) -> bool:
        query = [self.pods_of(job), ("limit", "1")]
        page = await self._ask(f"list the pods of job {job}", "GET", self.pods_path, query, decode=_pods)
        return bool(page.objects)

    async def _all(self, what: str, path: str, query: Query, decode: Callable[[bytes], Page[L]]) -> tuple[L, ...]:
        """Page by page; each object once, also where the list began anew meanwhile."""

        async def ask(asked: Query) -> Page[L]:
            return await self._ask(what, "GET", path, asked, decode=decode, paged=_of_several(asked))

        found: dict[tuple[str, str], L] = {}
        async for page in list_pages(ask, query, PAGE_OBJECTS):
            found |= {(each.metadata.name, each.metadata.uid): each for each in page.objects}
        return tuple(found.values())

    async def events(self, reason: str | None = None) -> EventList:
        """The events of the namespace, of one reason or all, that the API server still has."""
        return await self._list_events([("fieldSelector", f"reason={reason}")] if reason else [])

    def event_pages(self) -> AsyncIterator[EventList]:
        """All of them, some at a time."""
        return list_pages(self._list_events, (), PAGE_ITEMS)

    async def _list_events(self, query: Query) -> EventList:
        what = "list the events"
        return await self._ask(what, "GET", self.events_path, query, decode=decode_event_list, paged=_of_several(query))

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
        patience_seconds: float | None = None,
    ) -> T:
        """Some objects, as ``decode`` reads them."""
        what = f"list {path}"
        return await self._ask(what, "GET", path, [selector], decode=decode, patience_seconds=patience_seconds)

    async def watch(
        self,
        path: str,
        selector: tuple[str, str],
        kind: type[N],
        take: Callable[[Change[N]], None],
        *,
        deletions: bool = True,
    ) -> None:
        """Give ``take`` the objects that are there, then every change, without end. Raises ApiError when it has failed
        for good."""
        handler = ObjectHandler(kind, path, take, self._patience_seconds, deletions=deletions)
        protocol = WatchProtocol(page_items=SETTINGS.page_items)
        objects = ListWatch(self._client, path, [selector])
        await WatchLoop(objects, protocol, handler, SETTINGS, self._clock, self._random).run()

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
        patience_seconds: float | None = None,
        paged: bool = False,
    ) -> T:
        """The answer, read. One that cannot be read (a proxy's page) is asked for again, like one that did not come;
        ``paged``: not where less may be asked for."""
        patience = self._patience_seconds if patience_seconds is None else patience_seconds
        began, failures, unauthorized = self._clock.monotonic_seconds(), 0, 0
        while True:
            try:
                return _decoded(what, await self._client.request(what, method, path, query, body), decode)
            except ApiError as error:
                unauthorized += error.status == UNAUTHORIZED
                waited = self._clock.monotonic_seconds() - began
                may_pass = error.status in TRANSIENT or (error.status == UNAUTHORIZED and unauthorized == 1)
                hopeless = isinstance(error, TooLargeError) or (paged and error.may_be_of_size)
                if not may_pass or waited >= patience or hopeless:
                    raise
                failures += 1
                wait = min(error.retry_after_seconds or SETTINGS.backoff.seconds(failures, self._random), patience)
                if error.status == UNAUTHORIZED:
                    await self._renew_login(error)
                if wait >= TOLD_SECONDS and patience_seconds is None:
                    self._note(f"{error}; tried again in {wait:.0f} s, for {patience - waited:.0f} s in all")
            await self._clock.sleep(wait)

    async def _renew_login(self, refused: ApiError) -> None:
        try:
            await self._client.renew_login()
        except KubeconfigError as error:
            raise refused from error


def _of_several(query: Query) -> bool:
    """Whether a page of several objects is asked for: a smaller one is the next try."""
    return dict(query).get("limit", "1") != "1"


def _decoded(what: str, content: bytes, decode: Callable[[bytes], T]) -> T:
    try:
        return decode(content)
    except msgspec.DecodeError as error:
        raise TransportError(what, f"its answer cannot be read: {error}") from error


@asynccontextmanager
async def open_cluster(
    kubeconfig: Path,
    namespace: str,
    *,
    node_selector: Mapping[str, str] | None = None,
    patience_seconds: float = PATIENCE_SECONDS,
    sleep: Sleep = asyncio.sleep,
    random: Random | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> AsyncIterator[ClusterApi]:
    """The API of the kubeconfig's current context; paths are merged as KUBECONFIG's are. Raises KubeconfigError."""
    async with open_client(Access(str(kubeconfig)), SETTINGS) as client:
        yield ClusterApi(
            client,
            namespace,
            node_selector=node_selector,
            patience_seconds=patience_seconds,
            sleep=sleep,
            random=random,
            note=note,
        )
