"""Draw docs/images/report.webp: the beginning, the curves and some mistakes of a report, in a browser.

    detkit data example data/sample
    detkit train quickstart training.budget=1.5
    detkit evaluate runs/quickstart-1 --data data/sample --split val --report report.html
    python docs/make_report_image.py report.html

Needs playwright and Chromium (`pip install playwright`, `apt-get install chromium`).
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "docs" / "images" / "report.webp"
PARTS = {"top": 190, "numbers": 194, "curves": 640, "confusion": 455, "mistakes": 655}
"""Height of the part of the page that is shown from each section on, in pixels."""
WIDTH = 1240


def make(report: Path) -> None:
    """Save parts of the page, one below the other."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 900})
        page.set_default_timeout(300_000)
        page.goto(report.resolve().as_uri())
        page.add_style_tag(content="header { position: static !important }")
        shots = []
        for name, height in PARTS.items():
            page.evaluate("name => document.getElementById(name).scrollIntoView()", name)
            page.wait_for_timeout(1000)
            box = page.locator(f"#{name}").bounding_box()
            top = max(0, box["y"])
            shots.append(Image.open(io.BytesIO(page.screenshot(clip={"x": 0, "y": top, "width": WIDTH, "height": min(height, 900 - top)}))))
        browser.close()
    sheet = Image.new("RGB", (WIDTH, sum(shot.height for shot in shots)), "white")
    top = 0
    for shot in shots:
        sheet.paste(shot.convert("RGB"), (0, top))
        top += shot.height
    sheet.thumbnail((900, 4000), Image.Resampling.LANCZOS)
    sheet.save(OUTPUT, quality=80)


if __name__ == "__main__":
    make(Path(sys.argv[1] if len(sys.argv) > 1 else "report.html"))
