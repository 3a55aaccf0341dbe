"""The pages in a browser: they open offline without errors, filter by several values, and fit a desk and a phone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from browser import NARROW, WIDE, opened

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "label_errors"))

from checked_data import NAMES, checked
from labeled_scenes import Scenes

from detkit.curation.label_errors.find import candidates_of
from detkit.curation.pages.check_page import write_check_page
from detkit.curation.pages.label_errors_page import write_label_errors_page

pytestmark = pytest.mark.slow
SIZES = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
SHOWN = ".card:not([hidden])"


@pytest.fixture(scope="module")
def check_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("check")
    write_check_page(*checked(folder / "images", 40), folder / "check.html")
    return folder / "check.html"


@SIZES
def test_the_check_page(chromium: Any, check_page: Path, size: tuple[int, int]) -> None:
    with opened(chromium, check_page, size) as result:
        page = result.page
        assert result.overflow() == 0
        shown, count = page.locator(f"#images {SHOWN}"), page.locator("#images .count")
        assert shown.count() == 24
        shown.first.scroll_into_view_if_needed()
        assert shown.first.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 20

        page.locator("article[data-rule=duplicate_box] button[data-gallery]").click()
        assert shown.count() == 2
        assert page.locator("#images select[data-name=problem]").input_value() == "duplicate box"
        page.locator("article[data-rule=class_conflict] button[data-gallery]").click()
        assert shown.count() == 1
        assert shown.locator(".box.wrong").count() == 2
        page.locator("#images select[data-name=problem]").select_option("")
        page.locator("#images select[data-name=part]").select_option("val")
        assert shown.count() == 4
        for name, images in ((NAMES[0], "23"), (NAMES[1], "13"), ("犬 2", "23")):
            page.locator("#images select[data-name=class]").select_option(name)
            assert sorted(shown.locator("strong").all_inner_texts()) == [f"val 0{image} é&.png" for image in images]
        page.locator("#images select[data-name=class]").select_option("")
        page.locator("#images select[data-name=part]").select_option("")
        page.locator("#images select[data-name='box size']").select_option("small, below 32 x 32")
        assert 0 < int(count.inner_text().split()[0]) < 44
        page.locator("#images select[data-name='box size']").select_option("")
        page.locator("#images select.order").select_option("-0")
        numbers = shown.evaluate_all("all => all.map(one => Number(one.dataset.s0))")
        assert numbers == sorted(numbers, reverse=True)
        assert numbers[0] == 3
        assert page.locator("#statistics [role=tab]").count() == 2
        page.locator("#statistics [role=tab]").last.click()
        assert page.locator("#statistics .panel.shown h3").nth(1).is_visible()
        shown.first.locator(".image").click()
        assert page.locator("#lightbox .box").first.is_visible()
        page.keyboard.press("Escape")
        assert result.overflow() == 0
        assert result.problems == []


@SIZES
def test_the_page_of_label_errors(chromium: Any, tmp_path: Path, size: tuple[int, int]) -> None:
    scenes = Scenes()
    scenes.remove(3, 1)
    scenes.boxes[7][2, [0, 2]] -= 28
    parts = scenes.parts(tmp_path)
    write_label_errors_page(parts, candidates_of(parts, scenes.detected(), 0.001), tmp_path / "errors.html")
    with opened(chromium, tmp_path / "errors.html", size) as result:
        page = result.page
        assert result.overflow() == 0
        shown = page.locator(f"#candidates {SHOWN}")
        page.locator("#candidates select[data-name=kind]").select_option("missing box")
        assert "003.png" in shown.first.inner_text()
        assert shown.first.locator(".box.wrong").count() == 1
        assert shown.first.locator(".box.truth").count() == 0
        page.locator("#candidates select[data-name=kind]").select_option("doubtful box")
        assert "007.png, object 3" in shown.first.inner_text()
        assert shown.first.locator(".box.truth").count() == 1
        page.locator("#candidates select.order").select_option("-0")
        scores = shown.evaluate_all("all => all.map(one => Number(one.dataset.s0))")
        assert scores == sorted(scores, reverse=True)
        assert result.problems == []
