"""Draw docs/house.svg: the layers of the package, each package with the first sentence of its docstring.

python docs/make_house_diagram.py
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from test_architecture import LAYERS  # noqa: E402

WIDTH, GAP, LEFT, ROW_GAP = 1120, 12, 78, 18
MAX_BOXES = 6
"""Largest number of packages in one row; a layer with more has several rows."""
HEADER, LINE, PADDING = 35, 13, 8
"""Distance from the top of a box to its first line of text, distance between two lines, and inner margin, in pixels."""
CHARACTER = 6.2
"""Upper estimate of the mean width of a character of the 11 px text, in pixels."""
TITLES = ("basics", "functions", "parts", "wiring", "use", "experiments", "collections", "commands")
COLORS = ("#e8eef7", "#e3f1ec", "#fdf3dc", "#fbe6e0", "#efe6f5", "#e6f0fa", "#f4f0d9", "#eeeeee")


def sentence(part: str) -> str:
    """Return the first sentence of a package's docstring."""
    path = ROOT / "detkit" / part / "__init__.py"
    if not path.is_file():
        path = ROOT / "detkit" / f"{part}.py"
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    first = text.split("\n\n")[0].replace("\n", " ").split(". ")[0].rstrip(".")
    return re.sub(r":\w+:`~?([\w.]+)`|``(.*?)``", lambda match: match[1] or match[2], first)


def wrap(part: str, width: float) -> list[str]:
    """Return the lines of text of a box that is ``width`` pixels wide; nothing is cut off."""
    return textwrap.wrap(sentence(part), width=int((width - 2 * PADDING) / CHARACTER))


def box(part: str, left: float, top: float, width: float, height: float, color: str) -> list[str]:
    """Return the SVG elements of one package."""
    rows = [
        f'<rect x="{left:.0f}" y="{top:.0f}" width="{width:.0f}" height="{height:.0f}" rx="6" fill="{color}" stroke="#667"/>',
        f'<text x="{left + PADDING:.0f}" y="{top + 18:.0f}" class="name">{escape(part)}</text>',
    ]
    for number, line in enumerate(wrap(part, width)):
        rows.append(f'<text x="{left + PADDING:.0f}" y="{top + HEADER + LINE * number:.0f}" class="text">{escape(line)}</text>')
    return rows


def rows_of(parts: list[str]) -> list[list[str]]:
    """Return the packages of a layer in rows of nearly equal length."""
    count = -(-len(parts) // MAX_BOXES)
    return [parts[len(parts) * row // count : len(parts) * (row + 1) // count] for row in range(count)]


def drawing() -> str:
    """Return the SVG."""
    rows, top = [], 10.0
    for layer in reversed(range(len(LAYERS))):
        rows.append(f'<text x="8" y="{top + 24:.0f}" class="layer">{layer}</text>')
        rows.append(f'<text x="8" y="{top + 40:.0f}" class="small">{TITLES[layer]}</text>')
        for parts in rows_of(sorted(LAYERS[layer] - {"__main__"})):
            width = (WIDTH - LEFT - 10 - GAP * (len(parts) - 1)) / len(parts)
            height = HEADER + LINE * max(len(wrap(part, width)) for part in parts)
            for number, part in enumerate(parts):
                rows += box(part, LEFT + number * (width + GAP), top, width, height, COLORS[layer])
            top += height + GAP
        top += ROW_GAP - GAP
        if layer:
            middle = LEFT + (WIDTH - LEFT) / 2
            rows.append(f'<path d="M{middle} {top - 17:.0f} v9 m-5 -5 l5 6 l5 -6" fill="none" stroke="#667" stroke-width="2"/>')
    style = (
        "text{font-family:Helvetica,Arial,sans-serif;fill:#223}.name{font-size:14px;font-weight:bold}"
        ".text{font-size:11px}.layer{font-size:22px;font-weight:bold}.small{font-size:10px}"
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top:.0f}" viewBox="0 0 {WIDTH} {top:.0f}">'
    return "\n".join([head, f"<style>{style}</style>", '<rect width="100%" height="100%" fill="white"/>', *rows, "</svg>", ""])


if __name__ == "__main__":
    (ROOT / "docs" / "house.svg").write_text(drawing(), encoding="utf-8")
