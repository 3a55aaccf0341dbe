"""A page in a browser: tables, tabs, galleries, charts, the enlarged image and the theme work, on a desk and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import NARROW, WIDE, Opened, opened

from detkit.report.gallery import Card, DrawnBox, gallery, image_with_boxes
from detkit.report.images import encode
from detkit.report.markup import join
from detkit.report.page import Page, Section
from detkit.report.parts import Column, command, figure, number, option_list, table, tabs
from detkit.report.plots import Mark, Series, curve_data, lines
from detkit.report.scale import Axis

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    xs = [0.0, 0.5, 1.0]
    data = {
        "curves": {
            "0": curve_data("all", xs, {"precision": [1.0, 0.9, 0.1]}),
            "1": curve_data("cat", xs, {"precision": [1, 0.7, 0]}, [Mark(0.5, 0.7, "F1 .6")]),
        }
    }
    chart = figure(lines([Series("all", xs, [1.0, 0.9, 0.1])], Axis("recall"), Axis("precision"), data="curves"), title="Curves", wide=True)
    rows = [[f"class {index}", number((index * 7 % 40) / 40 if index else None)] for index in range(40)]
    image = encode(np.full((80, 120, 3), 90, np.uint8), 120)
    cards = [
        Card(
            image_with_boxes(image, [DrawnBox((10, 10, 60, 60), "cat")]),
            f"card {index}",
            filters={"kind": "miss" if index % 4 else "wrong"},
            sorts={"score": index / 60},
        )
        for index in range(60)
    ]
    sections = [
        Section("tables", "A table", table(["class", Column("AP", True)], rows)),
        Section("charts", "Charts", join([option_list("curves of", [("", "all"), ("1", "cat")], class_="curves"), chart])),
        Section("tabs", "Tabs", tabs([("one", command("detkit info")), ("two", join(["second"]))])),
        Section("images", "Images", gallery(cards, "shown", filters=["kind"], orders=["score"])),
    ]
    path = tmp_path_factory.mktemp("page") / "page with spaces & ü.html"
    Page("Demo", sections, join(["A sentence."]), data).write(path)
    return path


@pytest.fixture(params=[WIDE, NARROW], ids=["wide", "narrow"])
def page(request: pytest.FixtureRequest, chromium: Any, file: Path) -> Iterator[Opened]:
    with opened(chromium, file, request.param) as result:
        yield result
        assert result.problems == []


def texts(page: Any, selector: str) -> list[str]:
    return [text.strip() for text in page.locator(selector).all_inner_texts()]


def test_everything_works(page: Opened) -> None:
    assert page.overflow() == 0
    view = page.page
    visible = "#tables tbody tr:not([hidden]) td:first-child"
    assert len(texts(view, visible)) == 25
    view.locator("#tables th button", has_text="AP").click()
    assert texts(view, visible)[:2] == ["class 17", "class 34"]  # 39/40 and 38/40
    view.locator("#tables th button", has_text="AP").click()
    assert texts(view, visible)[0] == "class 23"
    view.get_by_role("button", name="Show all 40 rows").click()
    assert texts(view, visible)[-1] == "class 0"  # without a value: last in both orders
    view.get_by_placeholder("Filter 40 rows").fill("class 39")
    assert texts(view, visible) == ["class 39"]
    view.get_by_role("tab", name="two").click()
    assert view.locator(".panel.shown").inner_text() == "second"
    view.locator("select.curves").select_option("1")
    assert view.locator("svg .extra polyline").count() == 1
    assert view.locator("svg .extra text").text_content() == "F1 .6"
    view.locator("svg.chart").hover(position={"x": 100, "y": 60})
    assert "cat, at 0: precision 1" in view.locator(".readout").inner_text()
    assert view.locator(".card:not([hidden])").count() == 24
    view.locator("select.by").select_option("wrong")
    assert view.locator(".card:not([hidden])").count() == 15
    view.locator("select.order").select_option("-0")
    assert texts(view, ".card:not([hidden]) strong")[0] == "card 56"
    view.locator(".card:not([hidden]) .image").first.click()
    assert view.locator("#lightbox").is_visible()
    assert "card 56" in view.locator("#lightbox .caption").inner_text()
    view.keyboard.press("ArrowRight")
    assert "card 52" in view.locator("#lightbox .caption").inner_text()
    view.keyboard.press("Escape")
    assert not view.locator("#lightbox").is_visible()
    assert page.overflow() == 0


def test_navigation_and_theme(page: Opened) -> None:
    view = page.page
    view.locator("header nav a", has_text="Images").click()
    view.wait_for_function("document.querySelector('header nav a.current')?.textContent === 'Images'")
    before = view.evaluate("getComputedStyle(document.body).backgroundColor")
    view.locator("header .theme").click()
    assert view.evaluate("getComputedStyle(document.body).backgroundColor") != before
