"""The plot of AP against time shows the committed results, one panel for each processor."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import make_speed_plot
from make_speed_plot import Point


def test_plot_is_up_to_date() -> None:
    expected = make_speed_plot.drawing(make_speed_plot.points())
    assert make_speed_plot.OUTPUT.read_text("utf-8") == expected, "run: python docs/make_speed_plot.py"
    ElementTree.fromstring(expected)


def test_every_processor_has_its_panel_and_runs_without_a_time_are_named() -> None:
    rows = [
        Point("first", "2013", 2000.0, 0.4, True, "One"),
        Point("second", "", 20.0, 0.6, False, "Two <2>"),
        Point("third", "2024", None, 0.7, False, "Two <2>"),
    ]
    drawn = make_speed_plot.drawing(rows)
    texts = [element.text for element in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert "One: test AP and milliseconds for one image" in texts
    assert "Two <2>: test AP and milliseconds for one image" in texts
    assert "first (2013): 0.400, 2000 ms + proposals" in texts
    assert "second: 0.600, 20 ms" in texts
    assert "not timed yet: third" in texts
    assert drawn.count("<circle") == 2
    assert drawn != make_speed_plot.drawing([rows[0]._replace(ap=0.5), *rows[1:]])
