"""The Kubernetes REST API over HTTP: paths, verbs and bodies turned into calls on the cluster."""

from typing import Any

from aiohttp import web

from pullstudy.sim.api import discovery, status
from pullstudy.sim.cluster import SimCluster
from pullstudy.sim.faults.http import HttpFaults
from pullstudy.sim.http.read_requests import ReadRequests
from pullstudy.sim.http.requests import ApiPath, flag, json_answer, read_body
from pullstudy.sim.http.streams import Streams
from pullstudy.sim.http.write_requests import WriteRequests

Json = dict[str, Any]

DEFAULT_WATCH_SECONDS = 1800.0  # --min-request-timeout: a watch without timeoutSeconds ends after this or up to twice


class RestApi:
    """Answers for one cluster."""

    def __init__(
        self, cluster: SimCluster, streams: Streams, faults: HttpFaults, seconds_a_virtual_second: float | None
    ) -> None:
        """The last is None where time runs as fast as it can: timeoutSeconds are real seconds then."""
        self._version = cluster.settings.version
        self._faults = faults
        self._reading = ReadRequests(cluster, streams, faults, seconds_a_virtual_second)
        self._writing = WriteRequests(cluster, self._reading)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any request outside the admin side. Raises ApiFailureError."""
        path = request.path.rstrip("/") or "/"
        if path in discovery.HEALTH_PATHS:
            return web.Response(text="ok")
        document = discovery.document(path, self._version, request.host)
        if document is not None:
            return json_answer(document)
        if path.endswith(f"/{discovery.REVIEWS}") and request.method == "POST":
            return await self._review(request)
        if path.endswith(f"/{discovery.RULES}") and request.method == "POST":
            return json_answer(_all_rules(await read_body(request)), 201)
        target = ApiPath.of(path)
        if target is None:
            raise status.no_such_path()
        if request.query.get("dryRun"):
            raise status.bad_request("dryRun: this server has none; leave it out")
        watching = flag(request, "watch")
        listing = request.method == "GET" and target.name is None
        action = "watch" if listing and watching else "list" if listing else "other"
        refusal = self._faults.refusal(action, target.resource.plural)
        if refusal is not None:
            raise refusal
        if action == "watch":
            return await self._reading.watch(request, target)
        if action == "list":
            return self._reading.list(request, target)
        return await self._other(request, target)

    async def _review(self, request: web.Request) -> web.Response:
        review = await read_body(request)
        asked = (review.get("spec") or {}).get("resourceAttributes") or {}
        forbidden = self._faults.forbids(asked.get("verb", ""), asked.get("resource", ""))
        return json_answer(_reviewed(review, forbidden), 201)

    async def _other(self, request: web.Request, target: ApiPath) -> web.Response:
        match request.method, target.name:
            case "GET", str():
                return self._reading.get(request, target)
            case "POST", None:
                return await self._writing.create(request, target)
            case "DELETE", None:
                return self._writing.delete_collection(request, target)
            case "DELETE", str():
                return await self._writing.delete(request, target)
            case (("PATCH" | "PUT"), str()):
                return await self._writing.patch(request, target)
        raise status.method_not_allowed()


def _all_rules(review: Json) -> Json:
    every = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    rules = {"resourceRules": [every], "nonResourceRules": [], "incomplete": False}
    return {**review, "metadata": {"creationTimestamp": None}, "status": rules}


def _reviewed(review: Json, forbidden: bool) -> Json:
    return {
        "kind": "SelfSubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {"creationTimestamp": None},
        "spec": review.get("spec", {}),
        "status": {"allowed": not forbidden, "reason": "a fault was ordered" if forbidden else "all is allowed"},
    }
