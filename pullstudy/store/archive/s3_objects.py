"""Objects of a bucket on S3, or on what speaks its API. Credentials, region and address are those of boto3: AWS_....

A partition is replaced by a conditional write, which AWS has since November 2024, and MinIO and Ceph have too; where a
server refuses it, compaction says so, and nothing is written without.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from pullstudy.extras import require
from pullstudy.store.archive.objects import ConflictError, Listed, NoObjectError, Version
from pullstudy.store.archive.settings import ArchiveSettings
from pullstudy.store.protocol import StoreError, StoreSettingsError

MOST_BYTES = 5 << 30  # of one write
_CONNECT_SECONDS, _READ_SECONDS = 10, 60
_WRONG_SETTINGS = {"NoSuchBucket", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403"}


class S3Objects:
    """Connects at the first call. boto3 repeats what failed in passing."""

    def __init__(self, settings: ArchiveSettings) -> None:
        self._settings = settings
        self._made: Any = None

    @property
    def _client(self) -> Any:
        if self._made is None:
            require("boto3", "archive")
            import boto3
            from botocore.config import Config

            config = Config(
                connect_timeout=_CONNECT_SECONDS,
                read_timeout=_READ_SECONDS,
                retries={"mode": "standard", "max_attempts": 5},
            )
            self._made = boto3.session.Session().client("s3", config=config)
        return self._made

    def list(self, prefix: str) -> Iterator[Listed]:
        with self._errors(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._settings.bucket, Prefix=f"{self._settings.prefix}{prefix}"
            )
            for page in pages:
                for found in page.get("Contents", ()):
                    yield Listed(found["Key"].removeprefix(self._settings.prefix), found["Size"])

    @contextmanager
    def fetched(self, key: str, directory: Path) -> Iterator[tuple[Path, Version]]:
        path = directory / f"{uuid4().hex}.parquet"
        try:
            version = self._fetch(key, path)
            yield path, version
        finally:
            path.unlink(missing_ok=True)

    def _fetch(self, key: str, path: Path) -> Version:
        with self._errors(key):
            answer = self._client.get_object(**self._named(key))
            with path.open("wb") as file:
                for piece in answer["Body"].iter_chunks(1 << 20):
                    file.write(piece)
            version: str = answer["ETag"]
            return version

    def put(self, key: str, file: Path) -> None:
        self._put(key, file, {})

    def replace(self, key: str, file: Path, version: Version | None) -> None:
        self._put(key, file, {"IfNoneMatch": "*"} if version is None else {"IfMatch": version})

    def _put(self, key: str, file: Path, condition: dict[str, str]) -> None:
        if (size := file.stat().st_size) > MOST_BYTES:
            raise StoreError(f"{self._settings.place}: {key} would have {size} bytes, over what S3 takes in one write")
        with self._errors(key), file.open("rb") as body:
            self._client.put_object(**self._named(key), Body=body, **condition)

    def delete(self, key: str) -> None:
        with self._errors(key):
            self._client.delete_object(**self._named(key))

    def _named(self, key: str) -> dict[str, str]:
        return {"Bucket": self._settings.bucket, "Key": f"{self._settings.prefix}{key}"}

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            raise self._refused(key, error) from error
        except (BotoCoreError, OSError) as error:
            raise StoreError(f"{self._settings.place}: {error}") from error

    def _refused(self, key: str, error: Any) -> StoreError:
        code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
        if code in ("NoSuchKey", "404"):
            return NoObjectError(f"{self._settings.place}: no {key}")
        if code in ("PreconditionFailed", "ConditionalRequestConflict", "412", "409"):
            return ConflictError(f"{self._settings.place}: {key} was replaced by another")
        if code == "NotImplemented":
            return StoreSettingsError(
                f"{self._settings.place}: the server has no conditional writes (If-Match): take another, or a directory"
            )
        kind = StoreSettingsError if code in _WRONG_SETTINGS else StoreError
        return kind(f"{self._settings.place}: {code}: {message}")
