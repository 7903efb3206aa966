"""Registries are asked how large images are; whatever they answer is one line, and no login goes astray."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from driver.registries.registry import RegistryError, sizes_from_registries
from pullstudy.pulls.image_size import ImageSize, SizeSource
from tests.driver.registries.loopback_registry import LoopbackRegistry, digest_of, index, manifest

LOGIN = "Basic " + base64.b64encode(b"me:secret").decode()


@pytest.fixture
async def registry() -> AsyncIterator[LoopbackRegistry]:
    async with LoopbackRegistry().serving() as serving:
        yield serving


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Without any login."""
    return {"DOCKER_CONFIG": str(tmp_path)}


def log_in(environment: dict[str, str], host: str, auth: str = LOGIN.removeprefix("Basic ")) -> None:
    config = Path(environment["DOCKER_CONFIG"]) / "config.json"
    config.write_text(json.dumps({"auths": {host: {"auth": auth}}, "credsStore": "desktop"}))


async def size_of(image: str, environment: dict[str, str]) -> ImageSize:
    return (await sizes_from_registries([image], environment))[image]


async def test_a_manifest_tells_the_layers_with_their_digests(
    registry: LoopbackRegistry, environment: dict[str, str]
) -> None:
    registry.put("team/app", "1", manifest(10, 20))
    size = await size_of(registry.image("team/app", "1"), environment)
    digests = (digest_of(b"10"), digest_of(b"20"))
    assert size == ImageSize(layers=(10, 20), digests=digests, source=SizeSource.REGISTRY)
    assert (size.compressed, size.layer_bytes) == (30, (10, 20))


async def test_of_an_index_the_manifest_for_linux_on_amd64_is_taken(
    registry: LoopbackRegistry, environment: dict[str, str]
) -> None:
    arm, amd = (registry.put("app", name, body) for name, body in (("a", manifest(1)), ("b", manifest(2))))
    registry.put("app", "1", index(arm64=arm, amd64=amd))
    assert (await size_of(registry.image("app", "1"), environment)).layer_bytes == (2,)


async def test_an_image_named_by_its_digest_is_asked_for_by_it(
    registry: LoopbackRegistry, environment: dict[str, str]
) -> None:
    digest = registry.put("app", "1", manifest(7))
    assert (await size_of(f"{registry.netloc}/app@{digest}", environment)).compressed == 7


async def test_a_token_is_fetched_for_pulling_that_repository_and_without_a_login(
    registry: LoopbackRegistry, environment: dict[str, str]
) -> None:
    registry.put("team/app", "1", manifest(10))
    registry.challenge = "Bearer"
    assert (await size_of(registry.image("team/app", "1"), environment)).compressed == 10
    (_, first), (token, without), (_, last) = registry.seen
    assert (first, without, last) == (None, None, "Bearer t0ken")
    assert token == "/token?scope=repository:team/app:pull&service=loopback"


@pytest.mark.parametrize("challenge", ["Bearer", "Basic"])
async def test_the_login_of_dockers_configuration_is_used_where_one_is_asked_for(
    registry: LoopbackRegistry, environment: dict[str, str], challenge: str
) -> None:
    registry.put("app", "1", manifest(10))
    registry.challenge, registry.login = challenge, LOGIN
    log_in(environment, registry.netloc)
    assert (await size_of(registry.image("app", "1"), environment)).compressed == 10
    assert registry.seen[0][1] is None, "not before it is asked for"


async def test_the_login_of_another_host_is_not_used(registry: LoopbackRegistry, environment: dict[str, str]) -> None:
    registry.put("app", "1", manifest(10))
    registry.challenge, registry.login = "Basic", LOGIN
    log_in(environment, f"other.{registry.netloc}")
    with pytest.raises(RegistryError, match=r"asks for a login; docker login 127.0.0.1"):
        await size_of(registry.image("app", "1"), environment)
    assert {given for _, given in registry.seen} == {None}


async def test_a_redirect_to_another_host_carries_no_login(
    registry: LoopbackRegistry, environment: dict[str, str]
) -> None:
    log_in(environment, registry.netloc)
    async with LoopbackRegistry().serving() as other:
        registry.redirect = f"http://{other.netloc}/blob"
        assert (await size_of(registry.image("app", "1"), environment)).compressed == 5
        assert other.seen == [("/blob", None)]


async def test_a_login_that_was_given_is_dropped_where_a_redirect_leads_elsewhere(
    registry: LoopbackRegistry, environment: dict[str, str]
) -> None:
    async with LoopbackRegistry().serving() as other:
        amd = registry.put("app", "2", manifest(10))
        registry.put("app", "1", index(amd64=amd))
        del registry.manifests["app", amd]
        registry.challenge, registry.login = "Basic", LOGIN
        registry.redirected[amd] = f"http://{other.netloc}/blob"
        log_in(environment, registry.netloc)
        with pytest.raises(RegistryError, match="has not the digest"):
            await size_of(registry.image("app", "1"), environment)
        assert registry.seen[-1][1] == LOGIN
        assert other.seen == [("/blob", None)]


@pytest.mark.parametrize("target", ["http://example.org/v2/", "ftp://127.0.0.1/x", "file:///etc/passwd"])
async def test_it_may_lead_to_no_other_host_without_tls(
    registry: LoopbackRegistry, environment: dict[str, str], target: str
) -> None:
    registry.redirect = target
    with pytest.raises(RegistryError, match="which is not https"):
        await size_of(registry.image("app", "1"), environment)


async def test_redirects_in_a_circle_end(registry: LoopbackRegistry, environment: dict[str, str]) -> None:
    registry.redirect = "/v2/app/manifests/1"
    with pytest.raises(RegistryError, match="redirects more than 3 times"):
        await size_of(registry.image("app", "1"), environment)


async def test_what_has_not_the_digest_that_was_asked_for_is_refused(
    registry: LoopbackRegistry, environment: dict[str, str]
) -> None:
    other = digest_of(b"other")
    registry.manifests["app", other] = manifest(1)
    with pytest.raises(RegistryError, match=f"has not the digest {other}"):
        await size_of(f"{registry.netloc}/app@{other}", environment)
    registry.put("app", "1", index(amd64=other))
    with pytest.raises(RegistryError, match=f"has not the digest {other}"):
        await size_of(registry.image("app", "1"), environment)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b" " * (5 << 20), "answered with more than 4 MiB"),
        (b'{"layers": [' + b"{}," * 30_000 + b"{}]}", "more than 20,000 objects"),
        (b"<html>", "answered no image manifest"),
        (b"[" * 100_000, "answered no image manifest"),
        (b"{}", "answered no image manifest"),
        (manifest(), "a manifest of 0 layers"),
        (manifest(-1), "a manifest of 1 layers with -1 bytes"),
        (manifest(*[1] * 1001), "a manifest of 1001 layers"),
        (manifest(2**62), "layers with"),
        (index(), "it is not there for linux/amd64, but for nothing"),
        (index(s390x=digest_of(b"")), "but for linux/s390x"),
        (index(amd64="sha256:../../token"), "names no sha256 digest"),
    ],
)
async def test_an_answer_that_is_no_size_is_one_line(
    registry: LoopbackRegistry, environment: dict[str, str], body: bytes, complaint: str
) -> None:
    registry.put("app", "1", body)
    with pytest.raises(RegistryError, match=complaint) as told:
        await size_of(registry.image("app", "1"), environment)
    assert str(told.value).startswith(f"image {registry.image('app', '1')}: ")
    assert "\n" not in str(told.value)


async def test_an_index_of_an_index_is_refused(registry: LoopbackRegistry, environment: dict[str, str]) -> None:
    inner = registry.put("app", "2", index(amd64=digest_of(b"")))
    registry.put("app", "1", index(amd64=inner))
    with pytest.raises(RegistryError, match="answered no image manifest"):
        await size_of(registry.image("app", "1"), environment)


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (404, "has no such image (404); check its name"),
        (403, "refuses it (403); docker login 127.0.0.1"),
        (429, "is asked too often (429); wait, or docker login 127.0.0.1"),
        (500, "answered 500; try again later"),
    ],
)
async def test_a_refusal_says_what_to_do(
    registry: LoopbackRegistry, environment: dict[str, str], status: int, hint: str
) -> None:
    registry.put("app", "1", manifest(1))
    registry.status = status
    with pytest.raises(RegistryError) as told:
        await size_of(registry.image("app", "1"), environment)
    assert hint in str(told.value)
    assert str(told.value).endswith("or state its size in [images.sizes] of study.toml")


async def test_a_registry_that_is_not_there_is_named(registry: LoopbackRegistry, environment: dict[str, str]) -> None:
    with pytest.raises(RegistryError, match=r"127.0.0.1:1 cannot be asked"):
        await size_of("127.0.0.1:1/app:1", environment)


async def test_of_several_images_the_first_that_fails_is_told(
    registry: LoopbackRegistry, environment: dict[str, str]
) -> None:
    registry.put("app", "1", manifest(1))
    with pytest.raises(RegistryError, match="app:2: "):
        await sizes_from_registries([registry.image("app", "1"), registry.image("app", "2")], environment)


@pytest.mark.parametrize("content", ["{", "[]", '{"auths": 3}', '{"auths": {"HOST": {"auth": 3}}}'])
async def test_a_configuration_of_docker_that_is_none_is_named_and_not_repeated(
    registry: LoopbackRegistry, environment: dict[str, str], content: str
) -> None:
    (Path(environment["DOCKER_CONFIG"]) / "config.json").write_text(content)
    with pytest.raises(Exception, match=r"config.json: no configuration of Docker; docker login writes one"):
        await size_of(registry.image("app", "1"), environment)


@pytest.mark.parametrize("auth", ["", "%%%", "bm9jb2xvbg==", "Og=="])
async def test_an_empty_or_broken_login_is_none(
    registry: LoopbackRegistry, environment: dict[str, str], auth: str
) -> None:
    registry.put("app", "1", manifest(10))
    log_in(environment, registry.netloc, auth)
    registry.challenge = "Bearer"
    assert (await size_of(registry.image("app", "1"), environment)).compressed == 10
    assert [given for _, given in registry.seen] == [None, None, "Bearer t0ken"]


@pytest.mark.parametrize("target", ["https://[bad", "//[bad/x"])
async def test_an_address_that_is_none_is_one_line(
    registry: LoopbackRegistry, environment: dict[str, str], target: str
) -> None:
    registry.redirect = target
    with pytest.raises(RegistryError, match="an address that is none"):
        await size_of(registry.image("app", "1"), environment)


async def test_the_login_of_a_proxy_is_sent_and_never_told(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = b""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("https_proxy", f"alice:s3cret%21@127.0.0.1:{port}")
        with pytest.raises(RegistryError) as raised:
            await size_of("registry.example/app:1", environment)
    assert "s3cret" not in str(raised.value)
    assert base64.b64encode(b"alice:s3cret!") in asked
