"""Draw docs/images/serve.webp: the page of `detkit serve` with a photograph from scikit-image, in a browser.

    pip install '.[serve]'
    python docs/make_serve_image.py

Needs playwright and Chromium (`pip install playwright`, `apt-get install chromium`).
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import skimage.data
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "docs" / "images" / "serve.webp"
PORT = 8765
SIZE = {"width": 1000, "height": 900}


def make() -> None:
    """Serve the detector inside the package, and save what its page shows."""
    command = [sys.executable, "-m", "detkit", "serve", "--port", str(PORT)]
    server = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            photo = Path(folder) / "coffee.png"
            Image.fromarray(skimage.data.coffee()).save(photo)
            screenshot = Image.open(io.BytesIO(_screenshot(photo))).convert("RGB")
    finally:
        server.terminate()
        server.wait()
    screenshot.thumbnail((800, 4000), Image.Resampling.LANCZOS)
    screenshot.save(OUTPUT, quality=82)


def _screenshot(photo: Path) -> bytes:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=SIZE)
        page.set_default_timeout(120_000)
        _open(page)
        page.set_input_files("#file", photo)
        page.wait_for_selector(".view[data-count]")
        page.wait_for_timeout(1000)
        shot: bytes = page.screenshot(full_page=True)
        browser.close()
    return shot


def _open(page: object) -> None:
    """Open the page as soon as the server answers."""
    for _ in range(60):
        try:
            page.goto(f"http://127.0.0.1:{PORT}/")  # type: ignore[attr-defined]
            page.wait_for_selector("#model option", state="attached")  # type: ignore[attr-defined]
            return
        except Exception:
            page.wait_for_timeout(1000)  # type: ignore[attr-defined]
    raise SystemExit("the server did not start")


if __name__ == "__main__":
    make()
