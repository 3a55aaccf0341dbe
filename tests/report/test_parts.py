"""The parts of pages without a browser: escaping, exact numbers, axes, thumbnails."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from detkit.report.bars import Bar, Cell, bars, heat_map
from detkit.report.gallery import Card, DrawnBox, gallery, image_with_boxes
from detkit.report.images import Wanted, encode, region_around, thumbnails
from detkit.report.markup import Html, escape, json_block, tag
from detkit.report.page import Page, Section
from detkit.report.parts import number, table
from detkit.report.plots import Mark, Point, Series, lines, scatter
from detkit.report.scale import Axis, tick_text

IMAGE = np.arange(60 * 80 * 3, dtype=np.uint32).reshape(60, 80, 3).astype(np.uint8)


def test_text_is_escaped_and_markup_is_not() -> None:
    assert tag("p", "<b> & \x00\ud800", Html("<br>"), title='"x"', hidden=True, id=None) == (
        '<p title="&quot;x&quot;" hidden>&lt;b&gt; &amp; \ufffd\ufffd<br></p>'
    )
    assert escape("</script>") == "&lt;/script&gt;"
    block = json_block("data", {"name": "</script><!--\u2028\ud800", "value": math.nan})
    assert "</script><" not in block.removesuffix("</script>")
    assert json.loads(block[block.index(">") + 1 : -len("</script>")]) == {"name": "</script><!--\u2028\ufffd", "value": None}


@pytest.mark.parametrize(
    ("value", "options", "text"),
    [
        (0.123456789012345, {}, "0.123"),
        (-0.5, {"style": "signed"}, "\u22120.500"),
        (0.5, {"style": "percent"}, "50.0 %"),
        (1234567, {}, "1,234,567"),
        (math.nan, {}, "&ndash;"),
        (None, {}, "&ndash;"),
    ],
)
def test_numbers_are_rounded_for_the_eye_and_exact_for_scripts(value: float | None, options: dict[str, str], text: str) -> None:
    shown = number(value, key="a/b", **options)  # type: ignore[arg-type]
    assert f">{text}<" in shown
    exact = re.search(r'data-value="([^"]*)"', shown)
    assert exact is not None
    assert exact[1] == ("" if value is None or math.isnan(value) else repr(value))


class Balanced(HTMLParser):
    """Fails on a closing tag that does not match the last open one."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in {"meta", "link", "img", "input", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_page_is_well_formed_states_its_size_and_is_written_atomically(tmp_path: Path) -> None:
    names = ["猫", "<dog>", "a" * 300]
    cells = [[Cell(0.5, number(1)), None, Cell(-0.9, number(2), "x", (("data_cell", "1"),))]] * 3
    parts = [
        table(["class", "AP"], [[name, number(0.5)] for name in names * 10]),
        bars([Bar(name, value, None, (0.1, 0.4)) for name, value in zip(names, (0.3, math.nan, 0.0), strict=True)]),
        heat_map(names, names, cells),
        gallery(
            [Card(image_with_boxes(encode(IMAGE, 40), [DrawnBox((1, 2, 3, 4), "<b>")]), "x", filters={"kind": "a"})], "g", filters=["kind"]
        ),
    ]
    page = Page("<Title>", [Section(f"s{index}", f"Section {index}", part) for index, part in enumerate(parts)], data={"d": {"x": [1.5]}})
    size = page.write(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    parser = Balanced()
    parser.feed(text)
    assert not parser.open
    assert f"This file is {size / 1e3:.0f} kB" in text
    assert not re.search(r'(?:src|href)="(?!data:|#|")', text)  # nothing from elsewhere
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_plots_skip_what_cannot_be_drawn() -> None:
    curve = Series("a", [0, 0.5, 1], [math.nan, 0.2, 0.4])
    drawn = lines([curve, Series("b", [], [])], Axis("x"), Axis("y"), marks=[Mark(0.5, 0.2, "here")])
    assert drawn.count("<polyline") == 1
    assert "nan" not in drawn
    points = [Point("a", 1, 0.5, (0.5, 2), None), Point("b", math.nan, 1), Point("c", 3, 0.1, (math.nan, 1), (0, 1))]
    drawn = scatter(points, Axis.of("ms", [1, 3], logarithmic=True), Axis("AP"))
    assert (drawn.count("<circle"), drawn.count('class="interval')) == (2, 2)


def test_axes_have_round_ticks() -> None:
    assert Axis("x").ticks() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert Axis("x", 1, 200, True).ticks() == [1, 2, 5, 10, 20, 50, 100, 200]
    assert Axis.of("x", []).ticks()
    assert Axis.of("x", [5.0, 5.0]).low < 5 < Axis.of("x", [5.0, 5.0]).high
    assert [tick_text(value) for value in (0.1 + 0.2, 1500, 20_000, 2e6, -0.5, 2.5e-4)] == [
        "0.3",
        "1,500",
        "20k",
        "2M",
        "\u22120.5",
        "2.5e\u22124",
    ]


def test_thumbnails_are_cropped_shrunk_and_limited() -> None:
    requests = [Wanted("a", None, 40), Wanted("b", None, 40), Wanted("a", (10, 10, 30, 20)), Wanted("gone")]

    def read(key: str) -> np.ndarray:
        if key == "gone":
            raise FileNotFoundError("no such file: gone")
        return IMAGE

    made = thumbnails(requests, read)
    first, second, crop, missing = made.images
    assert first is not None
    assert second is not None
    assert crop is not None
    assert (first.width, first.height, first.region) == (40, 30, (0, 0, 80, 60))
    assert (crop.width, crop.height, crop.region) == (20, 10, (10, 10, 30, 20))
    assert missing is None
    assert (made.failed, made.left_out) == ({"gone": "no such file: gone"}, 0)
    limited = thumbnails(requests[:3], read, len(first.uri) + len(crop.uri))
    assert [image is not None for image in limited.images] == [True, False, True]  # an image that is read already goes first
    assert (limited.left_out, limited.size) == (1, len(first.uri) + len(crop.uri))


@pytest.mark.parametrize(
    "box", [(-20.0, -20.0, 5.0, 5.0), (75.0, 55.0, 200.0, 100.0), (40.0, 30.0, 40.0, 30.0), (500.0, 500.0, 600.0, 600.0)]
)
def test_regions_outside_an_image_still_give_an_image(box: tuple[float, float, float, float]) -> None:
    thumbnail = encode(IMAGE, 256, region_around([box]))
    assert thumbnail.width >= 1
    assert thumbnail.height >= 1
