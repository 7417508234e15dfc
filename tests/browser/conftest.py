"""Pages in Debian's headless Chromium; whatever a page asks for, says or throws is kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.fleets import fleet, hostile

EXAMPLE = Path(__file__).parents[2] / "reports/example"
PATIENCE_MS = 120_000  # a machine may be busy; what is slow by itself test_speed.py says
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


@dataclass
class Seen:
    """What a page did besides being shown."""

    page: Page
    requests: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def nothing(self) -> None:
        """Fails if it asked for anything, spoke in the console, threw or opened a dialog."""
        assert self.requests == []
        assert self.said == []


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "no chromium here: run make test-browser, or apt-get install chromium"
    # Chromium refuses its sandbox to root; in containers CI is root.
    options = [*QUIET, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=chromium, args=options)
        yield launched
        launched.close()


@pytest.fixture
def show(browser: Browser) -> Iterator[Callable[..., Seen]]:
    """Opens a file in a context of its own (keywords are those of a context)."""
    contexts = []

    def open_(path: Path, **options: Any) -> Seen:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        seen = Seen(page)
        address = path.resolve().as_uri()
        page.on("request", lambda one: note(seen.requests, one.url, address))
        page.on("console", lambda one: seen.said.append(f"{one.type}: {one.text}"))
        page.on("pageerror", lambda one: seen.said.append(f"error: {one}"))
        page.on("dialog", lambda one: (seen.said.append(f"dialog: {one.message}"), one.dismiss()))
        page.goto(address)
        return seen

    yield open_
    for context in contexts:
        context.close()


def note(requests: list[str], url: str, address: str) -> None:
    if url != address and not url.startswith("data:,"):
        requests.append(url)


@pytest.fixture(scope="session")
def example() -> Path:
    return EXAMPLE / "report.html"


@pytest.fixture(scope="session")
def forty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fleet(tmp_path_factory.mktemp("forty"), 40) / "report.html"


@pytest.fixture(scope="session")
def two_hundred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fleet(tmp_path_factory.mktemp("two-hundred"), 200) / "report.html"


@pytest.fixture(scope="session")
def enemy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile(tmp_path_factory.mktemp("hostile"))
