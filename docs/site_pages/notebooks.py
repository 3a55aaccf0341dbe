"""The chapters of the course as notebooks: each page of the site offers its own for download, made from the same file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jupytext
import nbformat

from site_pages.repository_links import BLOB, ROOT

CHAPTERS = ROOT / "docs" / "learn"
NEEDS = f"This notebook needs [detkit]({BLOB.removesuffix('/blob/main')}) and `matplotlib`. It runs on a CPU, without a network."
_ADMONITION = re.compile(r"^```\{admonition\} ([^\n]+)\n(?::[^\n]*\n)*\n?(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s]+)\)")
_TITLE = re.compile(r"^# .+$", re.MULTILINE)


def notebook(chapter: Path) -> nbformat.NotebookNode:
    """Return a chapter as a notebook that can be read without the site.

    Links lead to the repository, boxes are quotations, and cells have their numbers as ids: the same chapter gives the same file.
    """
    content = jupytext.reads(chapter.read_text("utf-8"), fmt="md:myst")
    content.cells.insert(1, nbformat.v4.new_markdown_cell(NEEDS))
    for number, cell in enumerate(content.cells):
        cell["id"] = f"cell-{number}"
        if cell.cell_type == "markdown":
            cell.source = _LINK.sub(lambda match: f"]({_address(chapter, match[1])})", _ADMONITION.sub(_quotation, cell.source))
    content.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return content


def _quotation(match: re.Match[str]) -> str:
    lines = [f"**{match[1]}**", "", *match[2].strip().splitlines()]
    return "\n".join(f"> {line}".rstrip() for line in lines)


def _address(chapter: Path, link: str) -> str:
    path, _, anchor = link.partition("#")
    inside = (chapter.parent / path).resolve().relative_to(ROOT).as_posix()
    return f"{BLOB}/{inside}{'#' + anchor if anchor else ''}"


def with_download(text: str, name: str) -> str:
    """Return a chapter's page with a link to its notebook below the title."""
    link = f'```{{raw}} html\n<p><a href="{name}.ipynb" download>Download this chapter as a notebook</a> (.ipynb)</p>\n```'
    return _TITLE.sub(lambda match: f"{match[0]}\n\n{link}", text, count=1)


def write_notebooks(folder: Path) -> list[Path]:
    """Write the notebook of each chapter into a folder, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for chapter in sorted(CHAPTERS.glob("0*.md")):
        paths.append(folder / f"{chapter.stem}.ipynb")
        nbformat.write(notebook(chapter), paths[-1])
    return paths


def _on_source_read(app: Any, name: str, source: list[str]) -> None:
    if name.startswith("learn/0"):
        source[0] = with_download(source[0], name.removeprefix("learn/"))


def _on_finished(app: Any, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        write_notebooks(Path(app.outdir) / "learn")


def setup(app: Any) -> dict[str, Any]:
    """Register the extension."""
    app.connect("source-read", _on_source_read)
    app.connect("build-finished", _on_finished)
    return {"parallel_read_safe": True}
