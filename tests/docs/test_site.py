"""The docs' site: built with every link checked, and read without a network."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FETCHED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "link": "href",
    "source": "src",
    "video": "src",
    "object": "data",
}


def build(config: Path, site: Path) -> "subprocess.CompletedProcess[str]":
    words = ["build", "--strict", "--config-file", config, "--site-dir", site]  # with --quiet no warning counts
    return subprocess.run(
        [Path(sys.executable).with_name("mkdocs"), *words],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=55,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As CI builds it."""
    directory = tmp_path_factory.mktemp("site")
    done = build(ROOT / "mkdocs.yml", directory)
    assert done.returncode == 0, done.stderr
    return directory


class Fetched(HTMLParser):
    """What a browser fetches for a page, without anybody following a link."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get(FETCHED.get(tag, ""))
        if address:
            self.addresses.append(address)


def fetched(site: Path) -> Iterator[tuple[Path, str]]:
    for page in site.rglob("*.html"):
        reader = Fetched()
        reader.feed(page.read_text())
        yield from ((page, address) for address in reader.addresses)
    for sheet in site.rglob("*.css"):
        yield from ((sheet, address) for address in re.findall(r"url\(['\"]?([^'\")]+)", sheet.read_text()))


def test_no_page_fetches_anything_from_another_host(site: Path) -> None:
    addresses = [(page.name, address) for page, address in fetched(site) if not address.startswith("data:")]
    assert len(addresses) > 100
    assert [each for each in addresses if re.match(r"[a-z]*:?//", each[1])] == []


def test_all_that_pages_fetch_is_in_the_site(site: Path) -> None:
    for page, address in fetched(site):
        if page.name != "404.html" and not address.startswith("data:"):  # that page is served for any address
            assert (page.parent / address.partition("?")[0].partition("#")[0]).exists(), (page.name, address)


def test_search_works_in_files_that_a_browser_opens(site: Path) -> None:
    text = (site / "index.html").read_text()
    assert "assets/iframe-worker.js" in text
    assert (site / "search" / "search_index.js").exists()
    assert not list(site.rglob("*.py"))


def test_a_file_beside_the_docs_is_named_where_the_site_has_no_link_to_it(site: Path) -> None:
    assert "<code>deploy/cache-clear.yaml</code>" in (site / "providers.html").read_text()


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("[x](none.md)", "none.md"),
        ("[x](#none)", "#none"),
        ("![x](none.png)", "none.png"),
        ("[x](../none.txt)", "../none.txt, which is not there"),
    ],
)
def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path, page: str, told: str) -> None:
    text = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[0]
    text = text.replace("docs/outside_links.py", str(ROOT / "docs" / "outside_links.py"))
    (tmp_path / "mkdocs.yml").write_text(text.replace("polyfills: [assets/iframe-worker.js]", "polyfills: []"))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(f"# A page\n\n{page}\n")
    done = build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert done.returncode == 1
    assert told in done.stderr
