"""What a cluster costs while it is up."""

from datetime import date
from typing import Protocol, runtime_checkable

import msgspec

from driver.planning.study import Study


class HourlyPrice(msgspec.Struct, frozen=True, kw_only=True):
    """Of one whole cluster, by the hour."""

    base: float = 0.0  # of what there is before the nodes and after them: a control plane
    nodes: float  # of all nodes together, with their volumes
    node: float  # of one node's machine alone
    currency: str
    as_of: date  # the day on which that was the price
    parts: str = ""  # what it is made of, for people

    @property
    def amount(self) -> float:
        return self.base + self.nodes


@runtime_checkable
class KnowsPrices(Protocol):
    """A provider that knows its prices better than ``cluster.price``, which is a node's alone."""

    def price(self, study: Study, size: int) -> HourlyPrice:
        """Raises UsageError."""
        ...


def nodes_price(study: Study, size: int) -> HourlyPrice:
    """What the nodes cost by ``cluster.price``, and nothing else."""
    own = study.cluster.price
    return HourlyPrice(nodes=size * own.per_node_hour, node=own.per_node_hour, currency=own.currency, as_of=own.as_of)
