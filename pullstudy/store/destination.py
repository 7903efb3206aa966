"""Where the records of a run go, and are read again: kept with the run, so that nobody has to say it twice.

No secrets: the token and passwords stay in the environment.
"""

from collections.abc import Mapping

import msgspec

from pullstudy.pulls.kinds import DEFAULT_NAME
from pullstudy.store.protocol import StoreSettingsError
from pullstudy.store.stores import StoreSettings, store_settings


class Destination(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[collect]`` of a study. Without an InfluxDB the records lie in the study's own file."""

    kafka: str = ""  # HOST:PORT, several with commas
    topic: str = ""  # of the pulls; empty: KAFKA_TOPIC, else "pulls"
    influx: str = ""  # URL
    organisation: str = ""  # empty: INFLUXDB_V2_ORG
    bucket: str = ""  # empty: INFLUXDB_V2_BUCKET, else "pulls"

    @property
    def shared(self) -> bool:
        """Whether other runs' records may lie beside this one's."""
        return bool(self.influx)

    def settled(self, environment: Mapping[str, str]) -> "Destination":
        """With all names filled in, so that another shell finds the same place. Raises StoreSettingsError."""
        if not self.shared:
            return Destination()
        settings = self.store_settings(environment)
        topic = self.topic or environment.get("KAFKA_TOPIC") or DEFAULT_NAME
        return Destination(
            kafka=self.kafka,
            topic=topic if self.kafka else "",
            influx=settings.url,
            organisation=settings.organisation,
            bucket=settings.bucket,
        )

    def store_settings(self, environment: Mapping[str, str]) -> StoreSettings:
        """How its InfluxDB is reached. Raises StoreSettingsError where there is none, or no token is set."""
        if not self.shared:
            raise StoreSettingsError("InfluxDB: no address; give --influx URL")
        return store_settings(
            environment, url=self.influx, bucket=self.bucket or None, organisation=self.organisation or None
        )

    def environment(self) -> dict[str, str]:
        """What a collector's environment has to say over our own, so that it writes where we read."""
        names = {
            "KAFKA_TOPIC": self.topic,
            "INFLUXDB_V2_ORG": self.organisation,
            "INFLUXDB_V2_BUCKET": self.bucket,
        }
        return {name: value for name, value in names.items() if value}

    def flags(self) -> list[str]:
        """For the collector's command line."""
        given = (("--kafka", self.kafka), ("--influx", self.influx))
        return [word for name, value in given if value for word in (name, value)]

    def __str__(self) -> str:
        if not self.shared:
            return "the study's own file"
        through = f", through topic {self.topic} of Kafka {self.kafka}" if self.kafka else ""
        return f"bucket {self.bucket} of InfluxDB {self.influx}{through}"
