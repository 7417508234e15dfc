"""report.html as people use it: by mouse, by keyboard, narrow, wide, dark, light, on paper."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MAIN = "#s2 table"
OUTSIDE = """chart => {
    const edge = chart.getBoundingClientRect();
    return [...chart.querySelectorAll("text")].filter(text => {
        const box = text.getBoundingClientRect();
        return box.left < edge.left || box.right > edge.right || box.bottom > edge.bottom
            || box.top < edge.top;
    }).map(text => text.textContent);
}"""
OVERLAPPING = """chart => {
    const words = [...chart.querySelectorAll("text:not(.key)")].map(text => {
        const { left, right, top, bottom } = text.getBoundingClientRect();
        return { left, right, top: top + 2, bottom: bottom - 2, text: text.textContent };
    });
    return words.flatMap((one, at) => words.slice(at + 1)
        .filter(other => one.left < other.right && other.left < one.right
            && one.top < other.bottom && other.top < one.bottom)
        .map(other => [one.text, other.text]));
}"""
SHOWN = f"{MAIN} tbody tr:not([hidden])"


def column(page: Any, number: int) -> list[str]:
    cells = page.locator(f"{MAIN} tbody tr > :nth-child({number})")
    return [text.split()[0] for text in cells.all_inner_texts()]


@pytest.mark.parametrize("name", ["example", "forty"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_the_page_fits_and_is_silent(
    show: Callable[..., Any], request: pytest.FixtureRequest, name: str, scheme: str, width: int
) -> None:
    path = request.getfixturevalue(name)
    seen = show(path, color_scheme=scheme, viewport={"width": width, "height": 900})
    page = seen.page
    assert page.evaluate("document.documentElement.scrollWidth") == width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}[scheme]
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    charts = page.locator("svg.chart").all()
    assert len(charts) == {"example": 3, "forty": 9}[name]
    for chart in charts:
        assert chart.locator(".ground").evaluate("one => getComputedStyle(one).fill") == ground
        assert chart.evaluate(OUTSIDE) == []
        assert chart.evaluate(OVERLAPPING) == []
    seen.nothing()


def test_sorting_by_mouse_goes_up_down_and_back(show: Callable[..., Any], forty: Path) -> None:
    seen = show(forty, viewport={"width": 1400, "height": 900})
    page = seen.page
    printed = column(page, 1)
    head = page.locator(f"{MAIN} thead th", has_text="cold, s")
    for order, backwards in (("ascending", False), ("descending", True)):
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == order
        numbers = [float(text) for text in column(page, 5) if text != "-"]
        assert numbers == sorted(numbers, reverse=backwards)
        assert column(page, 5)[-1] == "-"  # what has no number stands last either way
    assert column(page, 1)[0] == "gpu-005"
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "none"
    assert column(page, 1) == printed
    seen.nothing()


def test_filter_needs_all_words_and_says_how_many(show: Callable[..., Any], forty: Path) -> None:
    seen = show(forty, viewport={"width": 1400, "height": 900})
    page = seen.page
    box = page.locator("#s2 .filter")
    assert box.get_by_role("status").inner_text() == "41 rows"
    box.get_by_role("searchbox").fill("GPU-00 unproven")
    assert box.get_by_role("status").inner_text() == "2 of 41 rows"
    assert page.locator(SHOWN).count() == 2
    assert page.locator(f"{SHOWN}.unproven").count() == 1
    page.locator(f"{MAIN} thead th").first.get_by_role("button").click()
    assert page.locator(SHOWN).count() == 2
    box.get_by_role("searchbox").fill("")
    assert page.locator(SHOWN).count() == 41
    seen.nothing()


def test_the_keyboard_reaches_and_works_everything(show: Callable[..., Any], forty: Path) -> None:
    seen = show(forty, viewport={"width": 1400, "height": 900})
    page = seen.page
    page.keyboard.press("Tab")
    skip = page.locator(":focus")
    assert skip.inner_text() == "Skip to the verdict"
    assert skip.bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "(() => { const one = document.activeElement; return [one.tagName, "
                "one.closest('th')?.textContent.trim() ?? one.id, "
                "getComputedStyle(one).outlineStyle]; })()"
            )
        )
        if reached[-1][1] == "cold, s":
            break
    assert [one[0] for one in reached[:3]] == ["SUMMARY", "INPUT", "DIV"]
    assert all(one[2] in ("solid", "auto") for one in reached)
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    head = page.locator(f"{MAIN} thead th", has_text="cold, s")
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, 1)[0] == "gpu-005"
    seen.nothing()


def test_names_that_a_screen_reader_says(show: Callable[..., Any], example: Path) -> None:
    page = show(example).page
    assert page.get_by_role("img", name="Every start, by node, tier and variant").count() == 1
    assert page.get_by_role("img", name="Phases, cold beside warm").count() == 1
    assert page.get_by_role("navigation", name="Contents").count() == 1
    table = page.get_by_role("table", name="Nodes, tiers and variants")
    assert table.get_by_role("rowheader").all_inner_texts() == ["h100-01"] * 3
    assert table.get_by_role("columnheader", name="cold, s").count() == 1


def test_without_script_the_page_is_whole(show: Callable[..., Any], forty: Path) -> None:
    page = show(forty, java_script_enabled=False).page
    assert page.locator(f"{MAIN} tbody tr").count() == 41
    assert page.locator("button, input").count() == 0


def test_paper_has_everything_and_is_light(show: Callable[..., Any], forty: Path) -> None:
    seen = show(forty, color_scheme="dark")
    page = seen.page
    made = page.pdf(prefer_css_page_size=True)
    assert made.startswith(b"%PDF-")
    assert page.locator("th button").count() > 20  # they stepped aside for the print only
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("nav").is_hidden()
    hidden = page.locator("details figure").first
    assert hidden.evaluate("one => one.getBoundingClientRect().height") > 0
    seen.nothing()
