"""A fleet whose nodes say markup: nothing of it runs, loads or opens, in the page or a chart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.fleets import CHARMS


def test_no_charm_works_in_the_page(show: Callable[..., Any], enemy: Path) -> None:
    seen = show(enemy / "report.html", viewport={"width": 1400, "height": 900})
    page = seen.page
    for summary in page.locator("summary").all():
        summary.click()
    for button in page.locator("#s2 th button").all():
        button.click()
    page.locator("#s2 input").fill("<script>")
    assert page.locator("#s2 tbody tr:not([hidden])").count() > 0  # it is there, as words
    page.keyboard.press("Tab")
    page.wait_for_timeout(300)
    assert page.evaluate("window.ran") is None
    assert page.locator("script").count() == 1
    assert page.locator("img, iframe, object, embed, form, a:not([href^='#'])").count() == 0
    assert page.frames == [page.main_frame]
    seen.nothing()


def test_the_charms_would_work(show: Callable[..., Any], tmp_path: Path) -> None:
    """The same words as markup do run: what the other tests see is not for want of charms."""
    path = tmp_path / "open.html"
    path.write_text("<!DOCTYPE html>" + CHARMS[0] + CHARMS[1])
    seen = show(path)
    assert seen.page.evaluate("window.ran") == 1
    assert seen.requests == ["http://attacker.invalid/a.png"]


def test_the_policy_forbids_what_would_slip_through(
    show: Callable[..., Any], example: Path
) -> None:
    page = show(example).page
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.ran = 1";
            document.body.append(script);
            document.body.insertAdjacentHTML("beforeend", "<img src=x onerror=window.ran=1>");
        }"""
    )
    answer = page.evaluate("fetch('http://attacker.invalid/').catch(error => error.name)")
    page.wait_for_timeout(100)
    assert page.evaluate("window.ran") is None
    assert answer == "TypeError"


@pytest.mark.parametrize("kind", ["starts", "phases", "ceiling"])
def test_no_charm_works_in_a_chart(show: Callable[..., Any], enemy: Path, kind: str) -> None:
    charts = sorted((enemy / "charts").glob(f"{kind}*.svg"))
    assert charts
    for path in charts:
        seen = show(path)
        seen.page.wait_for_timeout(100)
        assert seen.page.evaluate("document.documentElement.tagName") == "svg"
        assert seen.page.evaluate("window.ran") is None
        seen.nothing()
