"""Draw docs/images/show_batches.webp and docs/images/data_check.webp: a training batch as the model sees it, and the page of a check.

    python docs/make_data_images.py

Both are made from the example data. The page needs playwright and Chromium (`pip install playwright`, `apt-get install chromium`).
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from detkit.cli.main import main

IMAGES = Path(__file__).resolve().parent / "images"
WIDTH = 1240
"""Width of the page in pixels."""
SECTIONS = {"problems": 265, "statistics": 480, "images": 640}
"""Height of the part of each section that is shown, in pixels."""
SIDE = 900
"""Longer side of the drawings in pixels."""


def make() -> None:
    """Write both images."""
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)  # the page shows the path of the data
        _run("data", "example", "my_data")
        _run("train", "my_data", "--show-batches", 1, "--output", "batches", "loader.batch_size=6")
        _save(Image.open("batches/batch_1.png"), IMAGES / "show_batches.webp")
        main(["data", "check", "my_data", "--pixels", "--html", "check.html"])
        _save(_shots(Path("check.html").resolve()), IMAGES / "data_check.webp")


def _run(*words: object) -> None:
    if main([str(word) for word in words]) != 0:
        raise SystemExit(f"failed: detkit {' '.join(map(str, words))}")


def _shots(page_file: Path) -> Image.Image:
    """Return parts of a page, one below the other."""
    shots = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 900})
        page.set_default_timeout(300_000)
        page.goto(page_file.as_uri())
        page.add_style_tag(content="header { position: static !important }")
        for name, height in SECTIONS.items():
            page.evaluate("name => document.getElementById(name).scrollIntoView()", name)
            page.wait_for_timeout(1000)
            top = max(0, page.locator(f"#{name}").bounding_box()["y"])
            clip = {"x": 0, "y": top, "width": WIDTH, "height": min(height, 900 - top)}
            shots.append(Image.open(io.BytesIO(page.screenshot(clip=clip))))
        browser.close()
    sheet, top = Image.new("RGB", (WIDTH, sum(shot.height for shot in shots)), "white"), 0
    for shot in shots:
        sheet.paste(shot.convert("RGB"), (0, top))
        top += shot.height
    return sheet


def _save(image: Image.Image, path: Path) -> None:
    image = image.convert("RGB")
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    image.save(path, quality=70)


if __name__ == "__main__":
    make()
