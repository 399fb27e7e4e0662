"""Summaries: what is escaped, what a terminal shows, and that a page keeps its own look."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from project_cache.display.html import Item, Section, Summary, summary_html, summary_text

NASTY = '<script>alert("1")</script> & co'


class Tree(HTMLParser):
    """Collects the tags of a page, and complains of those that are closed out of turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parsed(html: str) -> Tree:
    tree = Tree()
    tree.feed(html)
    tree.close()
    assert tree.open == []
    return tree


def test_all_text_is_escaped() -> None:
    everywhere = Summary(
        NASTY, NASTY, (Item(NASTY, NASTY),), (Section(NASTY, (Item(NASTY, NASTY),), open=True),)
    )
    tree = parsed(summary_html(everywhere))
    assert "script" not in tree.seen
    assert "".join(tree.text).count(NASTY) == 7


def test_it_takes_its_colours_from_the_page_and_nothing_from_elsewhere() -> None:
    html = summary_html(Summary("Session", "a.nwb"))
    assert "background" not in html
    assert not re.search(r"#[0-9a-f]{3,6}\b|http|url\(|<script", html, re.IGNORECASE)
    # each rule is for what is inside of the one class
    rules = re.findall(r"([^{}]+)\{[^{}]*\}", html.split("<style>")[1].split("</style>")[0])
    assert all(rule.startswith(".pc-shown") for rule in rules)


def test_sections_fold_and_empty_ones_are_left_out() -> None:
    sections = (
        Section("in memory", (Item("units", "3 rows"),), open=True),
        Section("calls", (Item("get()"), Item("put(x)", "Put it."))),
        Section("nothing", ()),
    )
    html = summary_html(Summary("Session", "a.nwb", (), sections))
    tree = parsed(html)
    assert tree.seen.count("details") == 2
    assert html.count("<details open>") == 1
    assert "nothing" not in tree.text
    assert tree.seen.count("dt") == tree.seen.count("dd") == 3


def test_a_terminal_gets_lines_that_are_not_too_long() -> None:
    names = tuple(Item(f"get_something_{n}(this, that)", "What it does.") for n in range(30))
    text = summary_text(Summary("Session", "a.nwb", (Item("file", "/a.nwb"),), (Section("calls", names),)))
    first, *rest = text.splitlines()
    assert first == "<Session a.nwb>"
    assert max(map(len, rest)) <= 100
    assert rest[0] == "  file   /a.nwb"
    assert rest[1].startswith("  calls  get_something_0, get_something_1,")
    assert all(line.startswith("         ") for line in rest[2:])
    assert "get_something_29" in text
    assert summary_text(Summary("Session", "b.nwb")) == "<Session b.nwb>"


def test_an_item_that_has_no_break_is_not_cut() -> None:
    path = "/" + "folder/" * 40
    assert path in summary_text(Summary("Session", "a", (Item("file", path),)))
