"""``--listen``: the endpoints, where somebody asked for them. What they import takes a tenth of a second."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from collector.configuration.quantity import Address
from collector.monitoring.vitals import Vitals
from pullstudy.pulls.notices import Notices


@asynccontextmanager
async def listening(address: Address | None, vitals: Vitals, notices: Notices) -> AsyncIterator[None]:
    """Served as long as the block lasts; nothing is where there is no address. Raises endpoints.ListenError."""
    if address is None:
        yield
        return
    from collector.monitoring.endpoints import endpoints

    async with endpoints(address, vitals, notices):
        yield
