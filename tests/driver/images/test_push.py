"""Pushes: every blob once, cross-checked, whatever is cut on the way; and no login goes astray."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from driver import cli
from driver.errors import DriverError, UsageError
from driver.images.asked import AskedImages
from driver.images.build import build
from driver.images.layout import Layout
from driver.images.push import PushedImage, PushError, Waiting, bytes_of, push, references
from driver.registries.registry import manifest_from_registry
from tests.driver.registries.upload_registry import UploadRegistry
from tests.real.relay import Relay
from tests.stack.home import StackHome
from tests.stack.registry import Registry

LOGIN = "Basic " + base64.b64encode(b"me:secret").decode()
SIZE = 3_000_000
Capture = pytest.CaptureFixture[str]


class Told:
    """The progress of a push, and the waits that it would have made."""

    def __init__(self) -> None:
        self.done = 0
        self.waited: list[float] = []
        self.whys: list[str] = []
        self.at: dict[int, Relay] = {}  # a connection cut once so many bytes are done

    def sent(self, size: int) -> None:
        self.done += size
        for reached in [each for each in self.at if each <= self.done]:
            self.at.pop(reached).cut()

    def waits(self, why: str, seconds: float) -> None:
        self.whys.append(why)

    async def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)


@pytest.fixture
async def registry() -> AsyncIterator[UploadRegistry]:
    async with UploadRegistry().serving() as serving:
        yield serving


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Without any login."""
    return {"DOCKER_CONFIG": str(tmp_path / "docker")}


def log_in(environment: dict[str, str], host: str, user: str = "me", password: str = "secret") -> None:
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    config = Path(environment["DOCKER_CONFIG"]) / "config.json"
    config.parent.mkdir(exist_ok=True)
    config.write_text(json.dumps({"auths": {host: {"auth": auth}}}))


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """One image of two layers, in two compressions."""
    found = Layout(tmp_path_factory.mktemp("layout"))
    list(build(found, AskedImages(layers="2", sizes=str(SIZE), ratio="0.9", compression="gzip,zstd").orders({}), 2))
    return found


NAME = f"gzip-6:2-layers-size-{SIZE}-bytes"


async def pushed(layout: Layout, host: str, environment: dict[str, str], told: Told) -> PushedImage:
    wanted = {name: each for name, each in references(layout, f"{host}/team").items() if name == NAME}
    (image,) = [each async for each in push(layout, wanted, environment, Waiting(told.sleep, Random(1)), told)]
    return image


def check_whole(layout: Layout, registry: UploadRegistry) -> None:
    """Every blob is there with its bytes, and the manifest by its tag."""
    entry = layout.images()[NAME]
    manifest = layout.manifest(entry)
    for each in (manifest.config, *manifest.layers):
        assert registry.blobs["team/gzip-6", each.digest] == layout.blob(each.digest).read_bytes()
    assert registry.manifests["team/gzip-6", NAME.partition(":")[2]] == layout.blob(entry.digest).read_bytes()


async def test_an_image_is_pushed_whole_and_a_second_time_nothing_is_sent(
    layout: Layout, registry: UploadRegistry, environment: dict[str, str]
) -> None:
    told, again = Told(), Told()
    image = await pushed(layout, registry.netloc, environment, told)
    check_whole(layout, registry)
    total = bytes_of(layout, [NAME])
    assert (image.sent_bytes, image.there_bytes, told.done, registry.taken) == (total, 0, total, total)
    assert image.reference == f"{registry.netloc}/team/{NAME}"
    image = await pushed(layout, registry.netloc, environment, again)
    assert (image.sent_bytes, image.there_bytes, again.done, registry.taken) == (0, total, total, total)
    assert (told.waited, again.waited) == ([], [])


async def test_each_blob_is_asked_for_before_it_is_sent(
    layout: Layout, registry: UploadRegistry, environment: dict[str, str]
) -> None:
    await pushed(layout, registry.netloc, environment, Told())
    assert registry.requests[0][0] == "HEAD"
    assert [method for method, path in registry.requests if "/blobs/" in path].count("HEAD") == 3
    assert registry.requests[-2:] == [(method, registry.requests[-1][1]) for method in ("PUT", "HEAD")]


async def test_an_upload_that_was_cut_goes_on_from_where_it_was(
    layout: Layout, registry: UploadRegistry, environment: dict[str, str]
) -> None:
    registry.cuts = [100, SIZE, 400_000, 700_000]  # the config, its rest, which is less, and both layers
    told = Told()
    await pushed(layout, registry.netloc, environment, told)
    check_whole(layout, registry)
    assert registry.taken == told.done == bytes_of(layout, [NAME]), "no byte was sent twice"
    assert len(registry.ranges) == len(told.waited) == 3
    assert registry.ranges[0].startswith("100-")
    assert all("was cut off at PATCH" in why for why in told.whys)


async def test_where_the_registry_forgot_how_far_it_came_the_blob_begins_anew(
    layout: Layout, registry: UploadRegistry, environment: dict[str, str]
) -> None:
    registry.cuts, registry.forgets = [100, SIZE, 400_000], True
    told = Told()
    await pushed(layout, registry.netloc, environment, told)
    check_whole(layout, registry)
    assert registry.taken == bytes_of(layout, [NAME]) + 400_100
    assert told.done == bytes_of(layout, [NAME]), "what came to nothing is taken back from the progress"


async def test_a_blob_whose_last_answer_was_lost_is_found_and_not_sent_again(
    layout: Layout, registry: UploadRegistry, environment: dict[str, str]
) -> None:
    registry.cuts_after_end = 2
    told = Told()
    await pushed(layout, registry.netloc, environment, told)
    check_whole(layout, registry)
    assert registry.taken == told.done == bytes_of(layout, [NAME])


async def test_a_push_that_moves_on_is_never_given_up(
    layout: Layout, registry: UploadRegistry, environment: dict[str, str]
) -> None:
    registry.cuts = [50_000] * 20
    await pushed(layout, registry.netloc, environment, Told())
    check_whole(layout, registry)


async def test_a_push_that_does_not_move_on_ends_in_a_line_that_says_what_to_do(
    layout: Layout, registry: UploadRegistry, environment: dict[str, str]
) -> None:
    registry.answers["POST"] = [(503, {}, "")] * 50
    told = Told()
    with pytest.raises(PushError, match=r"answered 503 to POST; push again later: what is there is not sent again$"):
        await pushed(layout, registry.netloc, environment, told)
    assert len(told.waited) == 5
    assert told.waited == sorted(told.waited)


async def test_a_registry_that_is_not_there_is_named(layout: Layout, environment: dict[str, str]) -> None:
    with pytest.raises(PushError, match=r"127.0.0.1:1 was cut off at HEAD"):
        await pushed(layout, "127.0.0.1:1", environment, Told())


@pytest.mark.parametrize("method", ["HEAD", "POST", "PATCH", "PUT"])
async def test_who_is_asked_to_come_back_later_does(
    layout: Layout, registry: UploadRegistry, environment: dict[str, str], method: str
) -> None:
    registry.answers[method] = [(429, {"Retry-After": "7"}, "")]
    told = Told()
    await pushed(layout, registry.netloc, environment, told)
    check_whole(layout, registry)
    assert told.waited == [7.0]
    assert told.whys == [f"{registry.netloc} answered 429 to {method}"]


async def test_who_is_asked_to_come_back_tomorrow_is_told_so_now(
    layout: Layout, registry: UploadRegistry, environment: dict[str, str]
) -> None:
    registry.answers["POST"] = [(429, {"Retry-After": "86400"}, "")]
    told = Told()
    with pytest.raises(PushError, match="answered 429 to POST"):
        await pushed(layout, registry.netloc, environment, told)
    assert told.waited == []


async def test_the_login_of_dockers_configuration_is_asked_for_pushing_there(
    layout: Layout, registry: UploadRegistry, environment: dict[str, str]
) -> None:
    registry.login = LOGIN
    log_in(environment, registry.netloc)
    await pushed(layout, registry.netloc, environment, Told())
    check_whole(layout, registry)
    assert registry.scopes == ["repository:team/gzip-6:pull,push"]
    assert registry.seen_logins == {None, "Bearer token-0"}


async def test_a_token_that_comes_to_its_end_on_the_way_is_asked_for_anew(
    layout: Layout, registry: UploadRegistry, environment: dict[str, str]
) -> None:
    registry.login, registry.token_uses = LOGIN, 3
    log_in(environment, registry.netloc)
    told = Told()
    await pushed(layout, registry.netloc, environment, told)
    check_whole(layout, registry)
    assert len(registry.tokens) > 2
    assert told.done == bytes_of(layout, [NAME])


async def test_without_a_login_it_says_how_to_log_in(
    layout: Layout, registry: UploadRegistry, environment: dict[str, str]
) -> None:
    registry.login = LOGIN
    with pytest.raises(PushError, match=r"refuses it \(401\); docker login 127.0.0.1"):
        await pushed(layout, registry.netloc, environment, Told())


async def test_who_may_not_push_is_told_so_in_the_registrys_words(
    layout: Layout, registry: UploadRegistry, environment: dict[str, str]
) -> None:
    registry.answers["POST"] = [(403, {}, '{"errors": [{"code": "DENIED\\u001b[31m"}]}')]
    with pytest.raises(PushError, match=r"refuses sha256:\w+ \(403 DENIED\\x1b\[31m\); docker login, and the right"):
        await pushed(layout, registry.netloc, environment, Told())


async def test_another_host_that_takes_the_uploads_gets_no_login(
    layout: Layout, registry: UploadRegistry, environment: dict[str, str]
) -> None:
    registry.login = LOGIN
    log_in(environment, registry.netloc)
    async with UploadRegistry().serving() as other:
        registry.uploads_at = f"http://{other.netloc}"
        with pytest.raises(DriverError):  # it has none of the uploads
            await pushed(layout, registry.netloc, environment, Told())
        assert other.requests
        assert other.seen_logins == {None}


async def test_uploads_lead_to_no_other_host_without_tls(
    layout: Layout, registry: UploadRegistry, environment: dict[str, str]
) -> None:
    registry.uploads_at = "http://example.org"
    with pytest.raises(PushError, match=r"leads to http://example.org, which is not https"):
        await pushed(layout, registry.netloc, environment, Told())


async def test_a_registry_that_stored_another_digest_is_not_believed(
    layout: Layout, registry: UploadRegistry, environment: dict[str, str]
) -> None:
    registry.claims = f"sha256:{'0' * 64}"
    with pytest.raises(PushError, match="has sha256:000000"):
        await pushed(layout, registry.netloc, environment, Told())


async def test_a_blob_of_another_length_at_the_registry_is_not_taken_for_ours(
    layout: Layout, registry: UploadRegistry, environment: dict[str, str]
) -> None:
    config = layout.manifest(layout.images()[NAME]).config
    registry.blobs["team/gzip-6", config.digest] = b"short"
    with pytest.raises(PushError, match="with 5 bytes, and it has"):
        await pushed(layout, registry.netloc, environment, Told())


async def test_damaged_files_are_never_an_image(
    tmp_path: Path, registry: UploadRegistry, environment: dict[str, str]
) -> None:
    own = Layout(tmp_path / "layout")
    list(build(own, AskedImages(layers="2", sizes="100kB", compression="gzip,none").orders({}), 1))
    wanted = {name: each for name, each in references(own, f"{registry.netloc}/team").items() if "gzip" in name}
    layer = own.manifest(own.images()[next(iter(wanted))]).layers[1]
    content = own.blob(layer.digest).read_bytes()

    async def pushing() -> None:
        told = Told()
        assert [each async for each in push(own, wanted, environment, Waiting(told.sleep, Random(1)), told)]

    own.blob(layer.digest).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(PushError, match=r"DIGEST_INVALID.*its file is damaged: delete it and build the image again"):
        await pushing()
    own.blob(layer.digest).write_bytes(content[:-1])
    with pytest.raises(PushError, match=r"is not whole in .*build the image again"):
        await pushing()
    assert registry.manifests == {}


def test_images_go_into_the_repository_by_their_names(layout: Layout) -> None:
    tag = NAME.partition(":")[2]
    assert references(layout, "host:5000/a/b") == {
        f"{each}:{tag}": f"host:5000/a/b/{each}:{tag}" for each in ("gzip-6", "zstd-3")
    }
    with pytest.raises(UsageError, match="give HOST/REPOSITORY without a tag"):
        references(layout, "host/Team")


def test_the_command_says_what_is_wrong(tmp_path: Path, layout: Layout, capsys: Capture) -> None:
    assert cli.run(["images", "push", str(tmp_path / "absent"), "127.0.0.1:1/x"]) == 2
    assert "is no whole OCI image layout" in capsys.readouterr().err
    assert cli.run(["images", "push", str(layout.directory), "127.0.0.1:1/x", "--image", "lz4*"]) == 2
    assert "has no image that fits" in capsys.readouterr().err


# A real registry


@pytest.mark.real
async def test_a_real_registry_takes_an_image_with_a_login_and_across_a_cut(
    stack_home: StackHome, tmp_path: Path, environment: dict[str, str]
) -> None:
    own = Layout(tmp_path / "layout")
    list(build(own, AskedImages(layers="3", sizes="60MB", ratio="1", compression="gzip:1,zstd:1,none").orders({}), 2))
    async with Registry(stack_home, tmp_path / "registry", credentials=("me", "secret")) as registry:
        host, _, port = registry.host.partition(":")
        async with Relay(host, int(port)) as relay:
            target = f"127.0.0.1:{relay.port}"
            log_in(environment, target)
            told = Told()
            told.at = {30_000_000: relay}
            wanted, waiting = references(own, f"{target}/team"), Waiting(told.sleep, Random(1))
            images = [each async for each in push(own, wanted, environment, waiting, told)]
            assert told.waited, "the connections were cut"
            assert told.done == bytes_of(own, list(wanted))
            for image in images:
                layers = (await manifest_from_registry(image.reference, environment)).layers
                for layer in layers:
                    assert registry.blob(layer.digest).read_bytes() == own.blob(layer.digest).read_bytes()
            again = [each async for each in push(own, wanted, environment, waiting, Told())]
            assert [each.sent_bytes for each in again] == [0, 0, 0]
