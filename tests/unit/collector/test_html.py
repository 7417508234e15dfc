"""report.html: the Markdown's words, nothing from outside, and words of nodes that stay words."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldproof.html.blocks import Bullets, Code, Heading, Paragraph, Table, blocks
from coldproof.html.body import inline
from coldproof.html.page import page
from coldproof.text import cell

EVIL = (
    '"><script>ran()</script><img src=x onerror=ran()>&lt;b&gt;</style></title><svg/onload=ran()>'
    "|`**[x](javascript:ran())\n# head\n- item\n```\r\x1b[31m\u202e\ud800"
)
TAGS = {
    *("html", "head", "meta", "title", "link", "style", "body", "script", "header", "nav", "main"),
    *("section", "footer", "h1", "h2", "h3", "p", "a", "ul", "li", "div", "details", "summary"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "small", "code", "strong", "pre"),
    *("figure", "svg", "desc", "defs", "rect", "text", "g", "line", "path", "use", "pattern"),
}


class Reader(HTMLParser):
    """Tags, attributes, ids and text of a page, as an HTML parser sees them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] not in (["style"], ["script"]):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def values(self, attribute: str) -> list[str]:
        return [value for _, name, value in self.attributes if name == attribute]


def reading(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    return reader


def opened(lab: Any) -> tuple[str, Reader]:
    text = (lab.folder / "report.html").read_bytes().decode("utf-8")
    return text, reading(text)


@pytest.fixture
def hostile(lab: Any) -> Any:
    """A campaign in which everything that a node says is made to break out."""
    evil = EVIL.replace("\ud800", "")
    lab.campaign(gpu_01="complete", gpu_02={"status": "failed", "message": evil, "variable": evil})
    changes = {
        "tier": evil, "variant": evil, "model": evil, "flags": [evil], "outcome_detail": evil,
        "phases": [{"name": evil, "seconds": 1.0}, {"name": "unattributed", "seconds": 9.0}],
        "engine": {"name": evil, "version": evil, "argv": [evil], "env": {evil: evil}},
        "storage": {"mount": evil, "source": evil, "filesystem": evil, "scheduler": evil},
        "host": {"cpu": evil, "kernel": evil}, "told": {"x": {"title": evil, "value": 1.0}},
        "unattributed": [{"since": evil, "seconds": 1.0, "to_name": evil}],
        "phases_missing": [evil],
    }  # fmt: skip
    records = lab.series(**changes)
    records.append(lab.record(30, "cold", 9, 5.0, state="refuted", reasons=[evil], **changes))
    records.append(lab.record(31, "warm", 9, 5.0, state="unproven", reasons=[evil], **changes))
    records.append(
        lab.record(32, "cold", 8, None, state="unproven", log={"tail": [evil], "file": evil},
                   **{**changes, "phases": []})
    )  # fmt: skip
    lab.fetch(records)
    lab.report()
    return lab


def test_same_input_gives_the_same_bytes(lab: Any) -> None:
    lab.campaign()
    lab.fetch(lab.series())
    lab.report()
    first, _ = opened(lab)
    lab.report()
    assert opened(lab)[0] == first


def test_every_word_and_number_of_the_markdown_is_in_the_page(lab: Any) -> None:
    lab.campaign(gpu_01="complete", gpu_02="unreachable")
    lab.fetch([*lab.series(), lab.record(21, "warm", 4, 4.5, state="unproven", reasons=["y"])])
    markdown = lab.report()
    text = opened(lab)[1].text
    for block in blocks(markdown):
        rows = [block.head, *block.rows] if isinstance(block, Table) else []
        parts = [cell for row in rows for cell in row]
        parts += block.items if isinstance(block, Bullets) else []
        parts += [block.text] if isinstance(block, Heading | Paragraph | Code) else []
        for part in parts:
            plain = html.unescape(part.replace("**", "").replace("`", ""))
            assert " ".join(plain.split()) in text


def test_a_script_and_a_style_of_its_own_and_nothing_else(lab: Any) -> None:
    lab.campaign()
    lab.fetch(lab.series())
    lab.report()
    text, reader = opened(lab)
    policy = next(value for value in reader.values("content") if "default-src" in value)
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert set(re.findall(r"https?://[^\s\"]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not {"src", "style", "action", "srcset"} & {name for _, name, _ in reader.attributes}
    for value in reader.values("href"):
        assert value.startswith("#") or value == "data:,"


def test_landmarks_heads_and_names(lab: Any) -> None:
    lab.campaign()
    lab.fetch(lab.series())
    lab.report()
    text, reader = opened(lab)
    assert [reader.tags.count(tag) for tag in ("header", "nav", "main", "footer", "h1")] == [1] * 5
    scopes = [value for tag, name, value in reader.attributes if (tag, name) == ("th", "scope")]
    assert len(scopes) == reader.tags.count("th")
    assert ("html", "lang", "en") in reader.attributes
    ids = reader.values("id")
    assert len(ids) == len(set(ids))
    assert {value[1:] for value in reader.values("href") if value.startswith("#")} <= set(ids)
    regions = re.findall(r'role="region" tabindex="0" aria-label="([^"]*)"', text)
    assert len(regions) == len(set(regions)) == reader.tags.count("table")
    assert text.index(">Verdict<") < text.index(">Nodes, tiers and variants<")
    assert text.index('href="#main"') < text.index("<header>")


def test_unproven_rows_are_marked_and_numbers_sort_by_their_first(lab: Any) -> None:
    lab.campaign()
    lab.fetch([*lab.series(), lab.record(21, "warm", 4, 4.5, state="unproven", reasons=["y"])])
    lab.report()
    text, _ = opened(lab)
    assert text.count('<tr class="unproven">') == 1
    assert (
        '<td class="number" data-sort="10.10">10.10 <small>(10.00 to 10.20) n=3</small></td>'
        in text
    )


def test_words_of_a_node_stay_words(hostile: Any) -> None:
    text, reader = opened(hostile)
    assert set(reader.tags) <= TAGS
    assert [reader.tags.count(tag) for tag in ("script", "style")] == [1, 1]
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]
    assert all(value.startswith(("#", "data:,")) for value in reader.values("href"))
    assert "<script>ran()</script>" in reader.text
    assert not [
        heading for heading in re.findall(r"<h[1-3][^>]*>([^<]*)", text) if heading == "head"
    ]
    ids = reader.values("id")
    assert len(ids) == len(set(ids))


@given(st.text())
def test_any_cell_comes_out_as_the_text_that_it_is(text: str) -> None:
    safe = cell(text)
    reader = reading(f"<p>{inline(safe)}</p>")
    assert reader.tags == ["p"]
    assert reader.text == " ".join(html.unescape(safe).split())


@given(st.text())
def test_any_markdown_gives_a_page_of_known_elements(text: str) -> None:
    made = page(text, f"# t\n\n## s\n\n{text}".encode("utf-8", "replace"), [])
    assert set(reading(made.decode()).tags) <= TAGS


def test_blocks() -> None:
    table = "| a | b |\n|:--|--:|\n| x | 1 |"
    code = "````\n# no\n```\n````"
    text = f"# T\n\nlead `a`\nmore\n\n- one\n- two\n\n{table}\n\n{code}\n"
    assert list(blocks(text)) == [
        Heading(1, "T"),
        Paragraph("lead `a` more"),
        Bullets(["one", "two"]),
        Table(["a", "b"], ["| x | 1 |"], frozenset({1})),
        Code("# no\n```"),
    ]


def test_of_a_long_list_what_the_report_stresses_comes_first(lab: Any) -> None:
    items = [f"- node {number}: fine" for number in range(20)] + ["- **x is an outlier**: slow"]
    made = page("c", "\n".join(["# t", "", "## Verdict", "", *items]).encode(), []).decode()
    assert made.index("x is an outlier") < made.index("node 0") < made.index("<details>")
    assert "<summary>9 more</summary>" in made
