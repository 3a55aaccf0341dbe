"""Each chapter of the course can be downloaded as a notebook with the same code, which is readable without the site."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from site_pages.notebooks import CHAPTERS, notebook, with_download, write_notebooks

_CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(?:---\n.*?^---\n|(?::[^\n]*\n)*)(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = sorted(CHAPTERS.glob("0*.md"))


@pytest.mark.parametrize("chapter", PAGES, ids=lambda path: path.stem)
def test_a_notebook_has_the_code_of_its_chapter(chapter: Path) -> None:
    content = notebook(chapter)
    nbformat.validate(content)
    code = [cell.source for cell in content.cells if cell.cell_type == "code"]
    assert [block.strip() for block in _CELL.findall(chapter.read_text("utf-8"))] == [source.strip() for source in code]
    assert len({cell.id for cell in content.cells}) == len(content.cells)


@pytest.mark.parametrize("chapter", PAGES, ids=lambda path: path.stem)
def test_a_notebook_is_readable_without_the_site(chapter: Path) -> None:
    text = "\n\n".join(cell.source for cell in notebook(chapter).cells if cell.cell_type == "markdown")
    assert text.startswith("# ")
    assert "> **Exercise**" in text
    assert "```{" not in text
    assert not re.search(r"\]\((?!https?:)", text)


def test_they_are_written_and_linked(tmp_path: Path) -> None:
    paths = write_notebooks(tmp_path / "learn")
    assert [path.stem for path in paths] == [page.stem for page in PAGES]
    again = [path.read_bytes() for path in write_notebooks(tmp_path / "again")]
    assert [path.read_bytes() for path in paths] == again
    page = with_download("---\na: b\n---\n\n# Title\n\ntext\n", "01_metrics")
    assert '# Title\n\n```{raw} html\n<p><a href="01_metrics.ipynb" download>' in page
