"""The report of an evaluation in a browser: filters, sorting, the confusion matrix, curves and links, on a desk and on a phone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from browser import NARROW, WIDE, opened

from detkit.cli.main import main

sys.path.insert(0, str(Path(__file__).resolve().parent))

from scenes import write_scene

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scene")
    write_scene(folder, images=12)
    words = ("--annotations", "gt.json", "--results", "dt.json", "--images", "images")
    paths = [word if word.startswith("--") else str(folder / word) for word in words]
    assert main(["evaluate", *paths, "--report", str(folder / "r.html")]) == 0
    return folder / "r.html"


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_everything_works(chromium: Any, report: Path, size: tuple[int, int]) -> None:
    with opened(chromium, report, size) as result:
        page = result.page
        assert result.overflow() == 0
        assert "AP 0." in page.locator(".lead").inner_text()

        page.locator("#class-table th button", has_text="AP50").click()
        values = page.locator("#class-table tbody tr td:nth-child(5) [data-value]").evaluate_all("all => all.map(one => one.dataset.value)")
        known = [float(value) for value in values if value]
        assert known == sorted(known, reverse=True)
        assert values[-1] == ""  # the class without objects comes last
        page.locator("#class-table tr[data-class='2'] a").click()
        assert page.locator("#curves select.curves").input_value() == "2"
        assert page.locator("#curves svg .extra polyline").count() == 6
        assert page.locator("#curves svg .extra circle").count() == 2  # the operating points

        cell = page.locator("button[data-title='cat, detected as 犬 <dog>']")
        count = int(cell.inner_text())
        cell.click()
        assert f"cat, detected as 犬 <dog>: {count} case" in page.locator("#cell-panel h3").inner_text()
        shown = page.locator("#cell-panel .card")
        assert shown.count() + page.locator("#cell-panel li").count() == count
        assert shown.first.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 20
        assert shown.first.locator("a").get_attribute("href").startswith("file://")
        page.locator("button[data-title='cat, detected as cat']").click()
        assert page.locator("#cell-panel .card").count() > 0

        page.locator("#mistakes select.by").first.select_option("duplicate")
        assert {text.split(", ")[1] for text in page.locator("#mistakes .card:not([hidden]) strong").all_inner_texts()} == {
            "detected again"
        }
        page.locator("#mistakes select.order").select_option("-0")
        scores = page.locator("#mistakes .card:not([hidden]) [data-value]").evaluate_all(
            "all => all.filter(one => one.dataset.key.endsWith('score')).map(one => Number(one.dataset.value))"
        )
        assert len(scores) > 1
        assert scores == sorted(scores, reverse=True)
        page.locator("#mistakes .card:not([hidden]) .image").first.click()
        assert page.locator("#lightbox .box.truth").is_visible()
        page.keyboard.press("Escape")

        page.locator("#images details summary").click()
        page.locator("#image-table th button", has_text="missed").click()
        missed = [int(text) for text in page.locator("#image-table tbody tr td:nth-child(5)").all_inner_texts()]
        assert missed == sorted(missed, reverse=True)
        assert result.overflow() == 0
        assert result.problems == []
