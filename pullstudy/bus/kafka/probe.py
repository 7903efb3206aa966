"""Why no broker lets the client in. The client itself only says that it could not."""

from typing import Any

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaConnectionError, KafkaError

from pullstudy.bus.kafka.settings import KafkaSettings


async def cause(error: BaseException, settings: KafkaSettings) -> BaseException:
    """What lies behind an error of starting a client: a refused password, a certificate, a closed port."""
    if not isinstance(error, KafkaConnectionError):
        return error
    return await connect_error(settings) or error


async def connect_error(settings: KafkaSettings) -> BaseException | None:
    """The last server's error where none of them takes a connection and the credentials; None where one does."""
    try:
        options: dict[str, Any] = settings.security.client_options()
    except OSError as error:
        return error
    last: BaseException | None = None
    for server in settings.bootstrap.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            connection = await create_conn(
                host, int(port), request_timeout_ms=int(settings.request_seconds * 1000), **options
            )
        except (KafkaError, OSError, TimeoutError) as error:
            last = error
        else:
            connection.close()
            return None
    return last
