"""The edge to an AWS account: boto3's blocking calls, in threads, with retries and patience of our own."""

import asyncio
import os
import random
import threading
from collections.abc import AsyncIterator
from typing import Any

from driver.providers.eks.aws_errors import AwsError, AwsErrorKind, read_error
from pullstudy.extras import require
from pullstudy.polling import Sleep

Answer = dict[str, Any]

FIRST_PAUSE_SECONDS = 0.5
LAST_PAUSE_SECONDS = 20.0
CONNECT_SECONDS = 10
READ_SECONDS = 60


def load_boto3() -> Any:
    """The library. Raises MissingExtraError where the extra is not installed."""
    return require("boto3", "eks")


class Clients:
    """boto3's clients of one region, each built once: their models take a second to read."""

    def __init__(self, region: str) -> None:
        self.region = region
        self._lock = threading.Lock()  # boto3 builds clients in one thread at a time
        self._session: Any = None
        self._built: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        from botocore.config import Config

        with self._lock:
            if service not in self._built:
                self._session = self._session or load_boto3().Session(region_name=self.region)
                once = Config(
                    connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries={"total_max_attempts": 1}
                )
                self._built[service] = self._session.client(service, region_name=self.region, config=once)
            return self._built[service]

    def forget(self) -> None:
        """Read the environment and the files with the credentials anew at the next call."""
        with self._lock:
            self._session = None
            self._built = {}


class Account:
    """One account in one region. Every call raises AwsError when it has failed for good.

    A call that is tried again may have taken effect before: creating answers "exists already", deleting "not found",
    and who calls reads that as what it is.
    """

    def __init__(
        self,
        clients: Clients,
        *,
        retry_seconds: float,
        credentials_seconds: float = 0.0,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """``credentials_seconds``: how long new credentials are waited for, by a caller that must not give up."""
        self.region = clients.region
        self._clients = clients
        self._retry_seconds = retry_seconds
        self._credentials_seconds = credentials_seconds
        self._sleep = sleep

    async def call(self, service: str, operation: str, **arguments: Any) -> Answer:
        """The answer. ``operation`` is boto3's method."""
        pause, waited, renewed = FIRST_PAUSE_SECONDS, 0.0, False
        while True:
            try:
                return await self._once(service, operation, arguments)
            except AwsError as error:
                lost = error.kind is AwsErrorKind.CREDENTIALS
                if lost:
                    self._clients.forget()
                if lost and not renewed:  # they may have been laid out anew since they were read
                    renewed = True
                    continue
                if waited >= self._patience(error.kind):
                    raise
            await self._sleep(pause * random.uniform(0.8, 1.2))  # jitter spreads clients throttled together
            waited += pause
            pause = min(pause * 2, LAST_PAUSE_SECONDS)

    async def pages(
        self, service: str, operation: str, token: tuple[str, str], **arguments: Any
    ) -> AsyncIterator[Answer]:
        """All pages of a list. ``token`` is its name in the request and in the answer.

        A page that fails raises: half a list is no list.
        """
        given, found = token
        following: dict[str, str] = {}
        while True:
            page = await self.call(service, operation, **arguments, **following)
            yield page
            if not page.get(found):
                return
            following = {given: page[found]}

    async def number(self) -> str:
        """The account's number."""
        return str((await self.call("sts", "get_caller_identity"))["Account"])

    def _patience(self, kind: AwsErrorKind) -> float:
        if kind is AwsErrorKind.CREDENTIALS:
            return self._credentials_seconds
        return self._retry_seconds if kind is AwsErrorKind.AGAIN else 0.0

    async def _once(self, service: str, operation: str, arguments: dict[str, Any]) -> Answer:
        call = asyncio.ensure_future(asyncio.to_thread(self._blocking, service, operation, arguments))
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            # A thread cannot be stopped: what it asks for must not come about behind the back of the cleaning up.
            await asyncio.wait([call])
            if not call.cancelled():
                call.exception()
            raise

    def _blocking(self, service: str, operation: str, arguments: dict[str, Any]) -> Answer:
        try:
            answer: Answer = getattr(self._clients.client(service), operation)(**arguments)
        except Exception as error:
            if type(error).__module__.split(".")[0] not in ("botocore", "boto3"):
                raise
            raise read_error(f"{service}.{operation}", error) from error
        return answer


def endpoint() -> str:
    """What boto3 is told of where AWS is; empty for AWS itself."""
    return os.environ.get("AWS_ENDPOINT_URL", "")
