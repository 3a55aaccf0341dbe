"""Every chapter of the course runs from top to bottom, offline; its assertions are part of it."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import matplotlib as mpl
import pytest

CHAPTERS = sorted((Path(__file__).resolve().parents[2] / "docs" / "learn").glob("0*.md"))
_CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)


def test_there_are_chapters() -> None:
    assert CHAPTERS


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_has_an_exercise_and_its_code_is_valid(chapter: Path) -> None:
    text = chapter.read_text("utf-8")
    assert "{admonition} Exercise" in text
    for cell in _CELL.findall(text):
        compile(cell, chapter.name, "exec")


@pytest.mark.slow
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_runs(chapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    namespace: dict[str, object] = {"__name__": "__main__"}
    try:
        for cell in _CELL.findall(chapter.read_text("utf-8")):
            exec(compile(cell, chapter.name, "exec"), namespace)
    finally:
        plt.close("all")
        logging.disable(logging.NOTSET)  # a chapter may silence its training
