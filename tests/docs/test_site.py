"""The site: built from a clean clone, with warnings as errors, and read without a network."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.checkout import ROOT, copy_tree

# Elements that make a browser fetch something by themselves; a link (a) is followed by a person.
FETCHED = {
    "script": "src", "img": "src", "iframe": "src", "source": "src", "embed": "src",
    "object": "data", "use": "href",
}  # fmt: skip
# Of <link>, those that fetch nothing.
IDLE = {"index", "search", "next", "prev", "author", "copyright", "canonical", "alternate"}


@dataclass
class Page(HTMLParser):
    """What a page links to, what it makes the browser fetch, and its anchors."""

    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes an element's addresses."""
        given = {name: value or "" for name, value in attrs}
        self.anchors.add(given.get("id", ""))
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and not IDLE & set(given.get("rel", "").split()):
            self.fetched.append(given["href"])
        if FETCHED.get(tag, "") in given:
            self.fetched.append(given[FETCHED[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it, from what git has."""
    folder = copy_tree(tmp_path_factory.mktemp("clone"))
    command = re.search(r"^\t(sphinx-build .*)$", (ROOT / "Makefile").read_text("utf-8"), re.M)
    assert command is not None
    done = subprocess.run(
        command[1].split(), cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / "build/site"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    """Every page, parsed."""
    found = {}
    for path in sorted(site.rglob("*.html")):
        if "_downloads" not in path.parts:
            found[path] = Page()
            found[path].feed(path.read_text("utf-8"))
    return found


def test_every_document_is_a_page(site: Path, pages: dict[Path, Page]) -> None:
    sources = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    wanted = {site / path.relative_to(ROOT).with_suffix(".html") for path in sources}
    assert wanted - pages.keys() == set()


def test_every_link_within_the_site_leads_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    dead = []
    for path, page in pages.items():
        for link in [*page.links, *page.fetched]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            name = unquote(parts.path)
            target = (path.parent / name).resolve() if name else path
            known = pages[target].anchors if target in pages else None
            fragment = unquote(parts.fragment)
            if not target.is_file() or (fragment and known is not None and fragment not in known):
                dead.append((str(path.relative_to(site)), link))
    assert dead == []


def test_nothing_is_fetched_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    elsewhere = [one for page in pages.values() for one in page.fetched if urlsplit(one).netloc]
    for sheet in [*site.rglob("*.css"), *pages]:
        text = sheet.read_text("utf-8")
        for one in re.findall(r"@import\s+[\"']([^\"']+)|url\(\s*[\"']?([^\"')]+)", text):
            elsewhere += [part for part in one if urlsplit(part).netloc]
    assert elsewhere == []


def test_building_it_twice_gives_the_same_pages(site: Path, tmp_path: Path) -> None:
    again = tmp_path / "site"
    source = site.parents[1]
    subprocess.run(
        ["sphinx-build", "-q", "-c", "docs", "-d", str(tmp_path / "d"), ".", str(again)],
        cwd=source,
        check=True,
    )
    differing = [
        str(path.relative_to(site))
        for path in site.rglob("*.html")
        if path.read_bytes() != (again / path.relative_to(site)).read_bytes()
    ]
    assert differing == []
