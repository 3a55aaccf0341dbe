"""Draw docs/house.svg: the layers of the package, each package with the first sentence of its docstring.

python docs/make_house_diagram.py
"""

from __future__ import annotations

import ast
import sys
import textwrap
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from test_architecture import LAYERS  # noqa: E402

WIDTH, BOX_HEIGHT, GAP, LEFT = 1120, 94, 12, 62
TITLES = ("types", "functions", "parts", "wiring", "use", "runs", "commands")
COLORS = ("#e8eef7", "#e3f1ec", "#fdf3dc", "#fbe6e0", "#efe6f5", "#e6f0fa", "#eeeeee")


def sentence(part: str) -> str:
    """The first sentence of a package's docstring."""
    path = ROOT / "detkit" / part / "__init__.py"
    if not path.is_file():
        path = ROOT / "detkit" / f"{part}.py"
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return text.split("\n\n")[0].replace("\n", " ").split(". ")[0].rstrip(".")


def box(part: str, left: float, top: float, width: float, color: str) -> list[str]:
    """The SVG of one package."""
    lines = textwrap.wrap(sentence(part).replace("``", ""), width=max(14, int(width / 6.6)))[:5]
    rows = [
        f'<rect x="{left:.0f}" y="{top}" width="{width:.0f}" height="{BOX_HEIGHT}" rx="6" fill="{color}" stroke="#667"/>',
        f'<text x="{left + 8:.0f}" y="{top + 18}" class="name">{escape(part)}</text>',
    ]
    return rows + [f'<text x="{left + 8:.0f}" y="{top + 35 + 13 * n}" class="text">{escape(line)}</text>' for n, line in enumerate(lines)]


def present(part: str) -> bool:
    """Whether the package exists yet."""
    return part != "__main__" and ((ROOT / "detkit" / part).is_dir() or (ROOT / "detkit" / f"{part}.py").is_file())


def drawing() -> str:
    """The whole SVG."""
    rows, top = [], 10
    for layer in reversed(range(len(LAYERS))):
        parts = sorted(part for part in LAYERS[layer] if present(part))
        width = (WIDTH - LEFT - 10 - GAP * (len(parts) - 1)) / len(parts)
        rows.append(f'<text x="8" y="{top + 40}" class="layer">{layer}</text>')
        rows.append(f'<text x="8" y="{top + 58}" class="small">{TITLES[layer]}</text>')
        for number, part in enumerate(parts):
            rows += box(part, LEFT + number * (width + GAP), top, width, COLORS[layer])
        top += BOX_HEIGHT + 18
        if layer:
            middle = LEFT + (WIDTH - LEFT) / 2
            rows.append(f'<path d="M{middle} {top - 17} v9 m-5 -5 l5 6 l5 -6" fill="none" stroke="#667" stroke-width="2"/>')
    style = (
        "text{font-family:Helvetica,Arial,sans-serif;fill:#223}.name{font-size:14px;font-weight:bold}"
        ".text{font-size:11px}.layer{font-size:22px;font-weight:bold}.small{font-size:9px}"
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}">'
    return "\n".join([head, f"<style>{style}</style>", '<rect width="100%" height="100%" fill="white"/>', *rows, "</svg>", ""])


if __name__ == "__main__":
    (ROOT / "docs" / "house.svg").write_text(drawing(), encoding="utf-8")
