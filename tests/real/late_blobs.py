"""A registry's own front that answers for large blobs late: what is put in as "first byte", to be found again.

    python -m tests.real.late_blobs HOST:PORT TO SECONDS_FILE

serves what the registry at TO has; SECONDS_FILE has how long the answer to each GET of a blob of 100 kB and more waits.
"""

import asyncio
import sys
from pathlib import Path

import aiohttp
from aiohttp import web

LARGE_BYTES = 100_000
_PASSED = ("Content-Type", "Content-Length", "Docker-Content-Digest", "ETag")


def application(to: str, seconds_file: Path) -> web.Application:
    """In front of the registry at this host and port."""

    async def answer(request: web.Request) -> web.StreamResponse:
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(request.method, f"http://{to}{request.path_qs}", headers=_asked(request)) as found,
        ):
            if "/blobs/" in request.path and int(found.headers.get("Content-Length", 0)) >= LARGE_BYTES:
                await asyncio.sleep(float(await asyncio.to_thread(seconds_file.read_text)))
            headers = {name: found.headers[name] for name in _PASSED if name in found.headers}
            response = web.StreamResponse(status=found.status, headers=headers)
            await response.prepare(request)
            async for chunk in found.content.iter_chunked(1 << 18):
                await response.write(chunk)
            await response.write_eof()
            return response

    made = web.Application()
    made.add_routes([web.route("*", "/{path:.*}", answer)])
    return made


def _asked(request: web.Request) -> dict[str, str]:
    return {"Accept": request.headers["Accept"]} if "Accept" in request.headers else {}


def main() -> None:
    address, to, seconds_file = sys.argv[1:]
    host, _, port = address.rpartition(":")
    web.run_app(application(to, Path(seconds_file)), host=host, port=int(port))


if __name__ == "__main__":
    main()
