"""The report of a comparison: its numbers are those of the JSON, and it opens in a browser."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from browser import NARROW, WIDE, opened
from comparison_fakes import folder_in, fresh, plan_for, write_data

from detkit.comparison.pages.page import write_page
from detkit.comparison.results import judge
from detkit.comparison.session import Session

KEYED = re.compile(r'data-value="([^"]*)" data-key="([^"]+)"')


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison of three detectors, one of them at several fractions of the images."""
    path = tmp_path_factory.mktemp("compared")
    plan = plan_for(
        write_data(path / "data", images=40), *("ssd_lite0_bccd", "detr_lite0_bccd", "light_lite0_bccd"), fractions=(0.25, 0.5, 1.0)
    )
    session = Session.open(plan, folder_in(path))
    session.run(fresh(quality={"ssd_lite0_bccd-images": 8.0, "ssd": 6.0, "detr": 1.0, "light": 2.0}))
    results = judge(session, resamples=100)
    session.write(results)
    write_page(session, results, session.folder.report)
    return session.folder.path


def value_at(content: Any, key: str) -> Any:
    for part in key.split("/"):
        content = content[int(part)] if isinstance(content, list) else content[part]
    return content


def test_every_number_of_the_page_is_that_of_the_json(folder: Path) -> None:
    content, text = json.loads((folder / "compare.json").read_text("utf-8")), (folder / "report.html").read_text("utf-8")
    found = {html.unescape(key): value for value, key in KEYED.findall(text)}
    assert len(found) > 60
    for key, value in found.items():
        expected = value_at(content, key)
        assert value == ("" if expected is None else repr(expected)), key


def test_the_page_has_the_protocol_first_and_the_detectors_in_order_of_invention(folder: Path) -> None:
    text = (folder / "report.html").read_text("utf-8")
    assert re.findall(r'<section id="([a-z]+)"', text)[1:3] == ["protocol", "results"]
    first = text.index('id="image-1"')
    places = [text.index(name, first) for name in ("SSDLite (2015)", "DETR (2020)", "detkit light (2026)")]
    assert places == sorted(places)
    assert "By the fitted curve" in text
    assert "detkit compare " in text


@pytest.mark.slow
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_page_opens_without_problems(folder: Path, chromium: Any, size: tuple[int, int]) -> None:
    images = json.loads((folder / "compare.json").read_text("utf-8"))["results"]["images"]
    with opened(chromium, folder / "report.html", size) as view:
        assert view.overflow() == 0
        assert view.page.locator("section#images .card").count() == min(images, 6) * 4
        assert view.problems == []
