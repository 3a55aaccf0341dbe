"""A page: one HTML file with everything inside, which opens offline on a desk and on a phone, in light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from detkit.about import __version__
from detkit.checkpoint import write_text
from detkit.report.markup import NOTHING, Html, join, json_block, tag

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Content security policy: the browser itself refuses to load anything from outside the file."""
_SIZE = "@@SIZE@@"
STYLES = ("base.css", "parts.css")
SCRIPTS = ("page.js", "tables.js", "charts.js", "gallery.js")
"""The assets of every page, in order."""


@dataclass(frozen=True)
class Section:
    """A part of a page with an entry in its navigation.

    Attributes:
        identifier: Name in the address: letters, digits and dashes.
        title: Heading, and entry in the navigation.
        body: Content.
    """

    identifier: str
    title: str
    body: Html


@dataclass(frozen=True)
class Page:
    """A page of sections with a sticky navigation.

    Attributes:
        title: Title of the page.
        sections: Sections in order.
        lead: One or two sentences under the title: the judgment.
        data: Values that scripts read, as JSON, by the ``id`` of their element.
        scripts: Names of further scripts in the ``assets`` folder of this package.
        styles: Names of further style sheets there.
    """

    title: str
    sections: Sequence[Section]
    lead: Html = NOTHING
    data: Mapping[str, Any] = field(default_factory=dict)
    scripts: Sequence[str] = ()
    styles: Sequence[str] = ()

    def html(self) -> str:
        """Return the file's text; its footer states its size."""
        text = "<!DOCTYPE html>\n" + tag("html", self._head(), self._body(), lang="en")
        size = len(text.encode("utf-8"))
        return text.replace(_SIZE, f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB")

    def write(self, path: str | Path) -> int:
        """Write the file atomically and return its size in bytes.

        Raises:
            WriteError: If the disk is full, or the file cannot be written there.
        """
        text = self.html()
        write_text(path, text)
        return len(text.encode("utf-8"))

    def _head(self) -> Html:
        return tag(
            "head",
            tag("meta", charset="utf-8"),
            Html(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            Html('<meta name="color-scheme" content="light dark">'),
            Html('<link rel="icon" href="data:,">'),
            tag("title", self.title),
            tag("style", Html(_assets((*STYLES, *self.styles)))),
        )

    def _body(self) -> Html:
        links = join(tag("a", section.title, href=f"#{section.identifier}") for section in self.sections)
        header = tag(
            "header",
            tag("a", self.title, class_="brand", href="#top"),
            tag("nav", links, aria_label="Sections"),
            tag("button", "◐", class_="theme", type="button", title="Light or dark", aria_label="Light or dark"),
        )
        heading = tag("section", tag("h1", self.title), tag("p", self.lead, class_="lead") if self.lead else None, id="top")
        body = join(
            tag("section", tag("h2", tag("a", section.title, href=f"#{section.identifier}")), section.body, id=section.identifier)
            for section in self.sections
        )
        footer = tag("footer", tag("p", f"Written by detkit {__version__}. This file is {_SIZE} and loads nothing from elsewhere."))
        blocks = join(json_block(identifier, value) for identifier, value in self.data.items())
        script = tag("script", Html(_assets((*SCRIPTS, *self.scripts))))
        return tag("body", header, tag("main", heading, body, footer), _LIGHTBOX, blocks, script)


_LIGHTBOX = tag(
    "dialog",
    tag("button", Html("&times;"), class_="close", type="button", aria_label="Close"),
    tag("button", Html("&lsaquo;"), class_="previous", type="button", aria_label="Previous image"),
    tag("button", Html("&rsaquo;"), class_="next", type="button", aria_label="Next image"),
    tag("div", class_="stage"),
    tag("div", class_="caption"),
    id="lightbox",
)


def _assets(names: Sequence[str]) -> str:
    """Return style sheets or scripts of this package one after the other."""
    folder = resources.files("detkit.report") / "assets"
    return "\n".join((folder / name).read_text("utf-8").strip() for name in names)
