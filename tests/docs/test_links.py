"""Links inside of the repository have targets: files, images, and the headings that their anchors name. No network is used.

Links to other sites are checked by ``sphinx-build -b linkcheck docs linkcheck``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import pytest
from site_pages.repository_links import BLOB

ROOT = Path(__file__).resolve().parents[2]
RAW = "https://raw.githubusercontent.com/detkit-vision/detkit/main"
GENERATED = {"reference"}
"""Folders of docs that the site fills."""
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(page for page in (ROOT / "docs").rglob("*.md") if not GENERATED & set(page.parts))]
_LINK = re.compile(r"\]\(([^)\s]+)(?: \"[^\"]*\")?\)|(?:src|href)=\"([^\"]+)\"|^:link: (\S+)$", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6} +(.+?)\s*#*$", re.MULTILINE)


def links(text: str) -> list[str]:
    """Return the targets of a page's links and images; a link to this repository's site is a path."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    found = (next(filter(None, match)) for match in _LINK.findall(re.sub(r"`[^`\n]*`", "", text)))
    inside = (re.sub(rf"^(?:{BLOB}|{RAW}|{BLOB.replace('blob', 'tree')})/", "/", link) for link in found)
    return [link for link in inside if not link.startswith(("http:", "https:", "mailto:"))]


@lru_cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as GitHub and the site name them."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    names: list[str] = []
    for heading in _HEADING.findall(text):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        names.append(slug if slug not in names else f"{slug}-{names.count(slug)}")
    return frozenset(names)


def fault(page: Path, link: str) -> str | None:
    """Return what is wrong with a link; None if it has a target."""
    path, _, anchor = link.partition("#")
    folder = ROOT if path.startswith("/") else page.parent
    target = folder / path.lstrip("/") if path else page
    if not target.exists() and not target.suffix and target.with_suffix(".md").exists():
        target = target.with_suffix(".md")  # a card of the site
    if target.parent.name in GENERATED:
        return None
    if not target.exists():
        return f"{link}: no such file"
    if anchor and target.suffix == ".md" and anchor not in anchors(target):
        return f"{link}: no such heading"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_have_targets(page: Path) -> None:
    assert [found for link in links(page.read_text("utf-8")) if (found := fault(page, link))] == []


def test_wrong_links_are_noticed() -> None:
    page = ROOT / "README.md"
    text = f"[a](docs/nothing.md) [b](docs/data.md#nothing) ![c]({RAW}/docs/images/nothing.jpg) [d](docs/data.md#check) `[e](x)`"
    assert [fault(page, link) for link in links(text)] == [
        "docs/nothing.md: no such file",
        "docs/data.md#nothing: no such heading",
        "/docs/images/nothing.jpg: no such file",
        None,
    ]
