"""A headless browser for tests of pages: what a page logs, requests and shows is recorded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

WIDE, NARROW = (1280, 900), (390, 844)
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def launched(*arguments: str) -> Iterator[Any]:
    """Yield Debian's Chromium, with further arguments; tests skip without it, but fail in CI."""
    executable = next((path for name in _NAMES if (path := shutil.which(name))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sync_playwright = None
    if executable is None or sync_playwright is None:
        missing = "Chromium (apt-get install chromium)" if executable is None else "playwright (pip install playwright)"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"needs {missing}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=[*ARGUMENTS, *arguments])
        yield browser
        browser.close()


@dataclass
class Opened:
    """An open page: the page of playwright, and what went wrong in it."""

    page: Any
    problems: list[str] = field(default_factory=list)

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@contextmanager
def opened(browser: Any, target: Path | str, size: tuple[int, int] = WIDE, **options: Any) -> Iterator[Opened]:
    """Open a file or an address; errors, messages of the console and requests to anything else but files and data are recorded."""
    address = target if isinstance(target, str) else target.as_uri()
    inside = ("file:", "data:") if isinstance(target, Path) else (address, "data:", "blob:")
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, **options)
    page.set_default_timeout(60_000)  # a machine that is busy with other tests
    result = Opened(page)
    page.on("console", lambda message: result.problems.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: result.problems.append(f"error: {error}"))
    page.on("requestfailed", lambda request: result.problems.append(f"failed: {request.url[:80]}"))
    page.on("request", lambda request: request.url.startswith(inside) or result.problems.append(f"request: {request.url[:80]}"))
    page.goto(address)
    try:
        yield result
    finally:
        page.close()
