"""Credentials go where the kubeconfig says, are read as kubectl reads them, and are never shown."""

import gzip
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import web

from pullstudy.kube.access import Access
from pullstudy.kube.client import open_client
from pullstudy.kube.errors import KubeconfigError, TooLargeError, TransportError
from pullstudy.kube.settings import WatchSettings
from tests.collector.api_server import ApiServer, serving
from tests.hostile.conftest import Attack

SECRET = "hunter2"
MIB = 1 << 20


def kubeconfig(path: Path, server: str, user: str = "", cluster: str = "") -> Access:
    path.write_text(
        "{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}], "
        f"clusters: [{{name: c, cluster: {{server: '{server}'{cluster}}}}}], users: [{{name: u, user: {{{user}}}}}]}}"
    )
    return Access(kubeconfig=str(path))


async def said(access: Access) -> str:
    """What is said where the server cannot be asked."""
    try:
        async with open_client(access, WatchSettings(connect_seconds=2)) as client:
            await client.get("read it", "/api/v1/namespaces/kube-system")
    except (KubeconfigError, TransportError) as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "location",
    [
        "{other}/api",
        "http://{secret}@nowhere.invalid/",
        "https://[::bad",
        "http://" + "a" * 300 + ".invalid/",
        "http://\udcff/",
        "//x/..",
        "/elsewhere",
        "",
        "file:///etc/passwd",
    ],
)
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(tmp_path: Path, location: str, code: int, attack: Attack) -> None:
    asked: list[str] = []

    async with serving(ApiServer()) as server, serving(ApiServer()) as other:
        to = location.replace("{other}", other.url).replace("{secret}", f"u:{SECRET}")

        async def redirect(request: web.Request) -> web.StreamResponse:
            asked.append(request.headers["Authorization"])
            return web.Response(status=code, headers={"Location": to})

        server.instead["identity"].append(redirect)
        access = kubeconfig(tmp_path / "kubeconfig", server.url, f"token: {SECRET}")
        told = await said(access)
        assert "redirects to" in told
        assert SECRET not in told
        assert asked == [f"Bearer {SECRET}"]
        assert not other.asked("identity")
    attack(f"a redirect {code} to {location[:30]!r}", "not followed, said")


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", "  {}  \n\n"])
async def test_a_token_file_may_end_in_a_line_end(tmp_path: Path, around: str, attack: Attack) -> None:
    seen: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers["Authorization"])
        return web.json_response({})

    (tmp_path / "token").write_bytes(around.format(SECRET).encode())
    async with serving(ApiServer()) as server:
        server.instead["identity"].append(answer)
        assert await said(kubeconfig(tmp_path / "kubeconfig", server.url, f"tokenFile: '{tmp_path / 'token'}'")) == ""
    assert seen == [f"Bearer {SECRET}"]
    attack(f"a tokenFile of {around!r}", "read as kubectl does")


RUBBISH = [
    f"{SECRET}\r\nX-Evil: 1".encode(),
    f"{SECRET}\nGET / HTTP/1.1".encode(),
    f"{SECRET}\x00".encode(),
    f"{SECRET}\xe9".encode("latin-1"),
    f"{SECRET}é".encode(),
    f"{SECRET}\x1b[2J".encode(),
    b"",
    b" \n",
    SECRET.encode() * 100_000,
]


@pytest.mark.parametrize("content", RUBBISH, ids=lambda content: repr(content[:24]))
async def test_a_token_that_no_header_can_hold_is_refused_and_not_shown(
    tmp_path: Path, content: bytes, attack: Attack
) -> None:
    (tmp_path / "token").write_bytes(content)
    access = kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1", f"tokenFile: '{tmp_path / 'token'}'")
    told = await said(access)
    assert told
    assert SECRET not in told
    assert "\n" not in told
    attack(f"a tokenFile of {content[:24]!r}", "refused, not shown")


@pytest.mark.parametrize("content", RUBBISH, ids=lambda content: repr(content[:24]))
async def test_a_token_file_rewritten_with_rubbish_keeps_the_client_that_there_was(
    tmp_path: Path, content: bytes, attack: Attack
) -> None:
    (tmp_path / "token").write_text("good")
    async with serving(ApiServer()) as server:
        access = kubeconfig(tmp_path / "kubeconfig", server.url, f"tokenFile: '{tmp_path / 'token'}'")
        async with open_client(access, WatchSettings()) as client:
            (tmp_path / "token").write_bytes(content)
            with pytest.raises(KubeconfigError) as refused:
                await client.renew_login()
            assert SECRET not in str(refused.value)
            await client.get("read it", "/api/v1/namespaces/kube-system")
    attack(f"a tokenFile rewritten as {content[:24]!r}", "the former login goes on")


@pytest.mark.parametrize(
    "proxy",
    [
        f"http://user:{SECRET}@127.0.0.1:99999",
        f"http://user:{SECRET}@127.0.0.1:port",
        f"http://user:{SECRET}@[::1",
        f"user:{SECRET}@127.0.0.1:1",
        f"http://user:{SECRET}/a@b@127.0.0.1:1",
        f"socks5://user:{SECRET}@127.0.0.1:1",
        f"http://user:{SECRET}@",
        f"http://user:{SECRET}@127.0.0.1:1",
        f"http://user:{SECRET}@" + "a" * 300 + ".invalid:1",
    ],
)
async def test_a_proxys_password_is_never_shown(tmp_path: Path, proxy: str, attack: Attack) -> None:
    told = await said(kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1", cluster=f", proxy-url: '{proxy}'"))
    assert told
    assert SECRET not in told
    attack(f"proxy-url {proxy[:40]}", "one line without its password")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity"])
async def test_an_answer_like_a_bomb_is_read_in_pieces_and_given_up(
    tmp_path: Path, encoding: str, attack: Attack
) -> None:
    zeros = b" " * (256 * MIB)
    packed = {"gzip": gzip.compress(zeros, 1), "deflate": zlib.compress(zeros, 1), "identity": zeros}[encoding]
    del zeros

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Encoding": encoding} if encoding != "identity" else {})
        await response.prepare(request)
        with suppress(ConnectionError):
            for start in range(0, len(packed), MIB):
                await response.write(packed[start : start + MIB])
        return response

    async with serving(ApiServer()) as server:
        server.instead["identity"].append(answer)
        access = kubeconfig(tmp_path / "kubeconfig", server.url)
        async with open_client(access, WatchSettings()) as client:
            tracemalloc.start()
            try:
                with pytest.raises(TooLargeError, match="longer than 8388608 bytes"):
                    await client.get("read it", "/api/v1/namespaces/kube-system")
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
    assert peak < 64 * MIB
    attack(f"256 MiB of {encoding}", f"given up after 8 MiB, {peak / MIB:.0f} MiB taken")
