"""What an object says of itself, as text for a terminal and as HTML for a notebook."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

__all__ = ["Item", "Section", "Summary", "summary_html", "summary_text"]

#: Nothing but the notebook's own colours, thinned: right in light and in dark themes. Each rule is bound to the
#: one class, so that nothing else on the page changes.
_STYLE = (
    "<style>"
    ".pc-shown{line-height:1.45;max-width:60em}"
    ".pc-shown .pc-head{padding-bottom:.25em;margin-bottom:.4em;border-bottom:1px solid rgba(128,128,128,.4)}"
    ".pc-shown .pc-kind{opacity:.65}"
    ".pc-shown dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.05em 1.2em;margin:.2em 0 .5em}"
    ".pc-shown dt{font-weight:normal;margin:0;opacity:.65}"
    ".pc-shown dd{margin:0;overflow-wrap:anywhere}"
    ".pc-shown details{margin:.15em 0}"
    ".pc-shown summary{cursor:pointer;display:list-item}"
    ".pc-shown summary span{opacity:.65}"
    ".pc-shown details dl{margin-left:1.1em}"
    ".pc-shown details dt{font-family:monospace;opacity:1}"
    ".pc-shown details dd{opacity:.75}"
    "</style>"
)
#: a space at which no line ends, and up to what length things are kept in one line
_UNBROKEN = "\xa0"
_SHORT = 60


@dataclass(frozen=True, slots=True)
class Item:
    """A name, and what there is to say of it.

    Attributes
    ----------
    name, text : str
    """

    name: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A list of things under a title.

    Attributes
    ----------
    title : str
    items : tuple of Item
    open : bool
        Whether a notebook shows the list at once, or its title and number only.
    brief : bool
        Whether a terminal shows the names only, and those of calls without what they take.
    """

    title: str
    items: tuple[Item, ...]
    open: bool = False
    brief: bool = True


@dataclass(frozen=True, slots=True)
class Summary:
    """What an object says of itself.

    Attributes
    ----------
    kind : str
        Its class.
    name : str
        What it is called.
    facts : tuple of Item
        What is known of it now.
    sections : tuple of Section
        What it holds. Those that are empty are not shown.
    """

    kind: str
    name: str
    facts: tuple[Item, ...] = ()
    sections: tuple[Section, ...] = ()


def summary_text(summary: Summary, *, width: int = 100) -> str:
    """Return a summary as lines of text, the first of which stands for the whole.

    Examples
    --------
    >>> held = Section("in memory", (Item("units", "48 rows × 40 columns"),), brief=False)
    >>> print(summary_text(Summary("Session", "a.nwb", (Item("type", "test"),), (held,))))
    <Session a.nwb>
      type       test
      in memory  units (48 rows × 40 columns)
    """
    rows = [(fact.name, fact.text) for fact in summary.facts]
    rows += [(s.title, ", ".join(_briefly(s.items, s.brief))) for s in summary.sections if s.items]
    indent = 2 + max((len(name) for name, _ in rows), default=0) + 2
    lines = [f"<{summary.kind} {summary.name}".rstrip() + ">"]
    for name, text in rows:
        lines += textwrap.wrap(
            text or "-",
            width,
            initial_indent=f"  {name}".ljust(indent),
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines).replace(_UNBROKEN, " ")


def _briefly(items: Iterable[Item], brief: bool) -> list[str]:
    if brief:
        return [item.name.partition("(")[0] for item in items]
    words = [f"{item.name} ({item.text})" if item.text else item.name for item in items]
    return [each.replace(" ", _UNBROKEN) if len(each) <= _SHORT else each for each in words]


def summary_html(summary: Summary) -> str:
    """Return a summary as a piece of HTML that needs nothing else, and in which all text is escaped.

    Examples
    --------
    >>> "<b>a&amp;b.nwb</b>" in summary_html(Summary("Session", "a&b.nwb"))
    True
    """
    parts = [
        _STYLE,
        '<div class="pc-shown">',
        f'<div class="pc-head"><span class="pc-kind">{escape(summary.kind)}</span> ',
        f"<b>{escape(summary.name)}</b></div>",
        _list(summary.facts),
    ]
    for section in summary.sections:
        if section.items:
            opened = " open" if section.open else ""
            parts += [
                f"<details{opened}><summary>{escape(section.title)} <span>({len(section.items)})</span></summary>",
                _list(section.items),
                "</details>",
            ]
    return "".join([*parts, "</div>"])


def _list(items: Iterable[Item]) -> str:
    rows = "".join(f"<dt>{escape(item.name)}</dt><dd>{escape(item.text)}</dd>" for item in items)
    return f"<dl>{rows}</dl>" if rows else ""
