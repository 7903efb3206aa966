"""A sink in a process of its own, to be killed: ``python -m tests.collector.sink_process BOOTSTRAP TOPIC BUCKET``."""

import asyncio
import os
import signal
import sys
from random import Random

from collector.clock import SystemClock
from collector.delivering.sink import SinkSettings
from collector.delivering.sink_daemon import SinkTarget, run_sink
from collector.log import Log
from pullstudy.bus.kafka.settings import KafkaSettings
from pullstudy.pulls.backoff import Backoff
from pullstudy.store.influx.settings import InfluxSettings


async def main() -> None:
    bootstrap, topic, bucket = sys.argv[1:]
    soon = Backoff(first_seconds=0.05, most_seconds=0.5)
    target = SinkTarget(
        KafkaSettings(bootstrap, topic, session_seconds=6.0, heartbeat_seconds=1.0, stalled_seconds=2.0, backoff=soon),
        InfluxSettings.from_environment(os.environ, bucket=bucket),
        # Many small writes, so that a kill is likely to fall between a write and its commit.
        sink=SinkSettings(batch_messages=100, linger_seconds=0.0, idle_seconds=0.1),
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await run_sink(target, Log(SystemClock()), Random(), stop)


if __name__ == "__main__":
    asyncio.run(main())
