"""What a cluster on EKS costs by the hour, from a dated table that study.toml can override."""

import tomllib
from datetime import date
from pathlib import Path

import msgspec

from driver.errors import UsageError
from driver.planning.price import HourlyPrice
from driver.planning.study import Price, Study

HOURS_A_MONTH = 730.0  # AWS' own, for what it prices by the month
TABLE = Path(__file__).with_name("prices.toml")


class Gp3(msgspec.Struct, frozen=True):
    """What of a gp3 volume is paid for beside its size."""

    free_throughput: int
    free_iops: int
    throughput_month: float
    iops_month: float


class NodePrices(msgspec.Struct, frozen=True):
    """By instance type, in the regions that have the same prices."""

    regions: tuple[str, ...]
    of: dict[str, float]


class PriceTable(msgspec.Struct, frozen=True):
    """``prices.toml``."""

    as_of: date
    currency: str
    control_plane_hour: float
    address_hour: float
    volume_gigabyte_month: dict[str, float]
    gp3: Gp3
    node_hour: NodePrices


def load_table(path: Path = TABLE) -> PriceTable:
    return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), PriceTable)


def price_of(study: Study, size: int, table: PriceTable) -> HourlyPrice:
    """Of a cluster of that size while it is up. Raises UsageError where a price is not known."""
    given = study.eks.prices
    node, currency, node_as_of = _node(study, table)
    rest = given.address_hour or table.address_hour
    each = node + _volume(study, table) + rest
    plane = given.control_plane_hour or table.control_plane_hour
    return HourlyPrice(
        base=plane,
        nodes=size * each,
        node=node,
        currency=currency,
        as_of=given.as_of or node_as_of,
        parts=f"a control plane {plane:.2f}, a node {node:.4g} + its volume and address {each - node:.3f}",
    )


def _node(study: Study, table: PriceTable) -> tuple[float, str, date]:
    """[eks.prices], else the table, unless [cluster.price] was set to something of the user's own."""
    own, kind, region = study.cluster.price, study.cluster.node_type, study.cluster.region
    if study.eks.prices.node_hour:
        return study.eks.prices.node_hour, own.currency, table.as_of
    if own != Price():
        return own.per_node_hour, own.currency, own.as_of
    if region in table.node_hour.regions and kind in table.node_hour.of:
        return table.node_hour.of[kind], table.currency, table.as_of
    raise UsageError(f"no price is known of {kind} in {region}: set eks.prices.node_hour in study.toml")


def _volume(study: Study, table: PriceTable) -> float:
    volume, region = study.eks.volume, study.cluster.region
    known = table.volume_gigabyte_month if region in table.node_hour.regions else {}
    month = study.eks.prices.volume_gigabyte_month or known.get(volume.type)
    if month is None:
        raise UsageError(
            f"no price is known of volumes {volume.type} in {region}: set eks.prices.volume_gigabyte_month"
        )
    extra = 0.0
    if volume.type == "gp3":
        extra += max(0, volume.throughput - table.gp3.free_throughput) * table.gp3.throughput_month
        extra += max(0, volume.iops - table.gp3.free_iops) * table.gp3.iops_month
    return (volume.gigabytes * month + extra) / HOURS_A_MONTH
