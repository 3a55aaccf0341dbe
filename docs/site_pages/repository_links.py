"""Links of the guides to files outside of ``docs`` lead to the repository on GitHub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BLOB = "https://github.com/detkit-vision/detkit/blob/main"
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s]+)\)")


def to_github(text: str, page: Path) -> str:
    """Return a page whose links to files that are no pages of the site lead to GitHub.

    Args:
        text: The page.
        page: Its file, which links are relative to.
    """

    def replaced(match: re.Match[str]) -> str:
        path, _, anchor = match[1].partition("#")
        target = (page.parent / path).resolve()
        if not path or (target.suffix in {".md", ".png", ".jpg", ".webp", ".svg"} and (ROOT / "docs") in target.parents):
            return match[0]
        return f"]({BLOB}/{target.relative_to(ROOT).as_posix()}{'#' + anchor if anchor else ''})"

    return _LINK.sub(replaced, text)


def _on_source_read(app: Any, name: str, source: list[str]) -> None:
    source[0] = to_github(source[0], Path(app.env.doc2path(name)))


def setup(app: Any) -> dict[str, Any]:
    """Register the extension."""
    app.connect("source-read", _on_source_read)
    return {"parallel_read_safe": True}
