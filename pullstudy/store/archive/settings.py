"""Where an archive is: a directory, or a bucket of S3 with a prefix."""

from dataclasses import dataclass
from pathlib import Path

from pullstudy.store.protocol import StoreSettingsError

S3 = "s3://"


@dataclass(frozen=True)
class ArchiveSettings:
    """How much is held at a time has to fit beside a sink: the rest is spilled to files."""

    url: str  # a directory's path, or s3://BUCKET/PREFIX
    memory_bytes: int = 512 << 20  # of DuckDB, which sorts and merges; over it, it spills
    round_bytes: int = 64 << 20  # of incoming objects that one round of compaction merges: some million pulls

    store = "archive"  # its name in STORES
    organisation = ""

    @staticmethod
    def of(url: str | None) -> "ArchiveSettings":
        """Raises StoreSettingsError."""
        if not url:
            raise StoreSettingsError("archive: no place; give a directory or s3://BUCKET/PREFIX")
        if url.startswith(S3):
            if not url.removeprefix(S3).strip("/").partition("/")[0]:
                raise StoreSettingsError(f"archive {url}: no bucket; give s3://BUCKET/PREFIX")
            return ArchiveSettings(url.rstrip("/"))
        if "://" in url:
            raise StoreSettingsError(f"archive {url}: give a directory or s3://BUCKET/PREFIX")
        return ArchiveSettings(url)

    @property
    def on_s3(self) -> bool:
        return self.url.startswith(S3)

    @property
    def bucket(self) -> str:
        """Of S3; of a directory its name."""
        return self.url.removeprefix(S3).partition("/")[0] if self.on_s3 else Path(self.url).name

    @property
    def prefix(self) -> str:
        """Of all keys in the bucket; empty, or ending in a slash."""
        prefix = self.url.removeprefix(S3).partition("/")[2].strip("/")
        return f"{prefix}/" if prefix else ""

    @property
    def place(self) -> str:
        return f"archive {self.url}"
