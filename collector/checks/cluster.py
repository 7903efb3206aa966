"""The way to the cluster: kubeconfig, API server, clock, identity, and each right that the collector needs."""

from collections.abc import Callable
from contextlib import aclosing
from datetime import datetime, timedelta

import msgspec

from collector.checks.finding import Finding, Findings, Place
from collector.checks.grants import grant_commands
from collector.sources.scope import Right, Scope
from pullstudy.kube.access import Access
from pullstudy.kube.client import KubeClient
from pullstudy.kube.errors import ApiError, KubeconfigError, StatusError, TransportError
from pullstudy.kube.list_watch import ListWatch
from pullstudy.kube.page import UnreadableError
from pullstudy.kube.settings import WatchSettings

VERSION_PATH = "/version"
WHO_PATH = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
MAY_PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
SKEW = timedelta(seconds=30)  # Date has whole seconds; tokens are taken with a leeway of a minute
WATCH_SECONDS = 1.0
UNKNOWN_USER = "(unknown)"

place = Place("cluster")


class _Version(msgspec.Struct, frozen=True, rename={"git_version": "gitVersion"}):
    git_version: str = "of an unknown version"


class _UserInfo(msgspec.Struct, frozen=True):
    username: str = UNKNOWN_USER


class _WhoStatus(msgspec.Struct, frozen=True, rename="camel"):
    user_info: _UserInfo = _UserInfo()


class _Who(msgspec.Struct, frozen=True):
    status: _WhoStatus = _WhoStatus()


class _MayStatus(msgspec.Struct, frozen=True):
    allowed: bool = False
    reason: str = ""


class _May(msgspec.Struct, frozen=True):
    status: _MayStatus = _MayStatus()


class ClusterCheck:
    """Of one cluster, with the credentials that the collector would use."""

    def __init__(
        self, access: Access, scope: Scope, settings: WatchSettings, now: Callable[[], datetime], *, pods: bool
    ) -> None:
        """``pods``: whether their status would be read."""
        self._access = access
        self._scope = scope
        self._settings = settings
        self._now = now
        self._pods = pods

    async def findings(self) -> Findings:
        """Stops at what makes the rest pointless."""
        try:
            client = await self._access.make_client()
        except KubeconfigError as error:
            yield place.failed("credentials", str(error))
            return
        async with KubeClient(client, self._access, self._settings) as api:
            yield place.ok("credentials", f"{self._access}, for {api.url}")
            reached = await self._version(api)
            yield reached
            if reached.level != "ok":
                return
            yield self._clock(api)
            user = await self._who(api)
            yield self._identity(user)
            for right in self._scope.rights(pods=self._pods):
                yield await self._right(api, right, user)
            yield await self._list_and_watch(api)

    async def _version(self, api: KubeClient) -> Finding:
        try:
            body = await api.get("read the version", VERSION_PATH)
            return place.ok("API server", f"answers, {msgspec.json.decode(body, type=_Version).git_version}")
        except TransportError as error:
            return place.failed("API server", f"{api.url}: {error.cause}", _cut_todo(error.cause))
        except StatusError as error:
            return place.failed("API server", f"{api.url} answered {error.cause}", _refused_todo(error))
        except msgspec.DecodeError:
            return place.failed("API server", f"{api.url} is no Kubernetes API server", "correct the address")

    def _clock(self, api: KubeClient) -> Finding:
        there = api.server_time
        if there is None:
            return place.warning("clock", "the API server's answers have no Date, so that clocks cannot be compared")
        off = (self._now() - there).total_seconds()
        if abs(off) <= SKEW.total_seconds():
            return place.ok("clock", "the API server's and this machine's agree")
        side = "ahead of" if off > 0 else "behind"
        return place.warning(
            "clock",
            f"this machine's is {abs(off):.0f} s {side} the API server's",
            "set it by NTP: certificates and tokens are judged by it (the records' times are not)",
        )

    async def _who(self, api: KubeClient) -> str | None:
        try:
            review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
            body = await api.request("ask who this is", "POST", WHO_PATH, body=review)
            return msgspec.json.decode(body, type=_Who).status.user_info.username
        except (ApiError, msgspec.DecodeError):  # before Kubernetes 1.28 nobody could ask
            return None

    def _identity(self, user: str | None) -> Finding:
        if user is None:
            return place.warning("user", "the API server does not say who this is (Kubernetes 1.28 and later do)")
        if user == "system:anonymous":
            return place.failed("user", "nobody: no credentials were sent", "log in, or give another --kubeconfig")
        return place.ok("user", user)

    async def _right(self, api: KubeClient, right: Right, user: str | None) -> Finding:
        check, what = f"{right.verb} {right.resource}", _in_words(right, self._scope)
        try:
            body = await api.request("ask for a right", "POST", MAY_PATH, body=_review(right, self._scope))
            found = msgspec.json.decode(body, type=_May).status
        except (ApiError, msgspec.DecodeError) as error:
            why = error.cause if isinstance(error, ApiError) else str(error)
            return place.warning(check, f"whether it may {what} cannot be asked: {why}")
        if found.allowed:
            return place.ok(check, f"may {what}")
        todo = grant_commands(right, self._scope, user or UNKNOWN_USER)
        if right.resource == "events":
            return place.failed(check, f"may not {what}", todo)
        return place.warning(check, f"may not {what}: {_WITHOUT[right.resource]}", todo)

    async def _list_and_watch(self, api: KubeClient) -> Finding:
        check = "events"
        try:
            events = ListWatch(api, self._scope.events_path)
            page = await events.list_page(limit=1, continue_token=None)
            async with aclosing(events.watch(page.metadata.resource_version, WATCH_SECONDS)) as chunks:
                async for _ in chunks:
                    break
        except UnreadableError as error:
            return place.failed(check, error.cause, "is there a proxy in between?")
        except TransportError as error:
            return place.failed(check, f"cannot be read: {error.cause}", _cut_todo(error.cause))
        except StatusError as error:
            return place.failed(check, f"cannot be read: {error.cause}", _refused_todo(error))
        return place.ok(check, f"{'one' if page.items else 'none'} listed, and a watch opened")


_WITHOUT = {
    "pods": "pulls whose events were dropped will not be found",
    "namespaces": "a checkpoint of another cluster would not be noticed by its name",
}


def _in_words(right: Right, scope: Scope) -> str:
    if right.resource == "namespaces":
        return f"get namespace {right.name}"
    return f"{right.verb} {right.resource} in {scope}"


def _review(right: Right, scope: Scope) -> dict[str, object]:
    # The namespace of a request for a namespace is that namespace.
    namespace = right.name if right.resource == "namespaces" else scope.namespace
    attributes = {"verb": right.verb, "group": "", "resource": right.resource, "name": right.name}
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {**attributes, "namespace": namespace or ""}},
    }


def _cut_todo(why: str) -> str:
    if "certificate" in why:
        return "give the cluster's own authority (certificate-authority-data in the kubeconfig)"
    return "see that it runs, that the address is right, and that no proxy (HTTPS_PROXY, NO_PROXY) stands in the way"


def _refused_todo(error: StatusError) -> str:
    if error.status == 401:
        return "log in again, or give another --kubeconfig: these credentials are not accepted"
    if error.status == 403:
        return "ask for the rights above"
    return "see that the address is a Kubernetes API server's"
