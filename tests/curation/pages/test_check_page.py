"""The page of a check: which images it shows, what their cards say, and that names are escaped."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from checked_data import DOUBLED, checked

from detkit.curation.pages.check_images import PROBLEM_SHARE, shown_images
from detkit.curation.pages.check_page import write_check_page
from detkit.data.checks.findings import Finding
from detkit.data.checks.report import CheckReport


def cards(text: str) -> list[str]:
    return re.findall(r'<article class="card".*?</article>', text, re.DOTALL)


def test_problems_come_first_in_turn_and_the_others_evenly_spaced(tmp_path: Path) -> None:
    parts, report = checked(tmp_path)
    images = shown_images(parts, report, 9)
    assert [(image.part, image.index) for image in images[:4]] == [("train", 3), ("train", 5), ("val", 2), ("train", 7)]
    assert [len(image.findings) for image in images] == [2, 1, 1, 1, 0, 0, 0, 0, 0]
    others = [(image.part, image.index) for image in images[4:]]
    assert others[0] == ("train", 0)
    assert others[-1] == ("val", 3)
    assert len(shown_images(parts, report, 100)) == 16


def test_others_stay_visible_where_there_are_many_problems(tmp_path: Path) -> None:
    parts, _ = checked(tmp_path)
    everything = Finding.of_images(DOUBLED, "train", parts.parts["train"].data, np.arange(12))
    images = shown_images(parts, CheckReport("a", (everything,)), 10)
    assert sum(bool(image.findings) for image in images) == round(10 * PROBLEM_SHARE)
    assert len(images) == 10


def test_the_page_states_everything_and_escapes_names(tmp_path: Path) -> None:
    parts, report = checked(tmp_path)
    size = write_check_page(parts, report, tmp_path / "check.html")
    text = (tmp_path / "check.html").read_text("utf-8")
    assert size == (tmp_path / "check.html").stat().st_size
    assert "<b>cat" not in text
    assert "<script>alert" not in text
    assert "<i>object" not in text
    assert "2 errors, 1 warning, 1 note in 16 images with 24 boxes of a &lt;b&gt; &amp; c" in text
    assert text.index("Boxes that occur twice") < text.index("Boxes on one") < text.index("Classes without objects")
    assert "show 2 images" in text
    assert len(cards(text)) == 16
    (conflicting,) = [card for card in cards(text) if "class conflict" in card]
    assert 'data-f3="class conflict\nduplicate box"' in conflicting or 'data-f3="duplicate box\nclass conflict"' in conflicting
    assert conflicting.count('class="box wrong"') == 2
    assert 'data-f1="&lt;b&gt;cat&lt;/b&gt;\ndog &quot;&amp;\n犬 2"' in conflicting
    assert 'data-f0="train"' in conflicting


def test_images_beyond_the_limit_are_counted(tmp_path: Path) -> None:
    parts, report = checked(tmp_path)
    write_check_page(parts, report, tmp_path / "check.html", shown=6)
    text = (tmp_path / "check.html").read_text("utf-8")
    assert "6 of 16 images: 4 with problems" in text
    assert "10 are not shown" in text
    assert len(cards(text)) == 6


def test_the_size_is_bounded(tmp_path: Path) -> None:
    parts, report = checked(tmp_path)
    write_check_page(parts, report, tmp_path / "check.html", max_bytes=400)
    text = (tmp_path / "check.html").read_text("utf-8")
    assert "no image" in text
    assert sum(map(len, re.findall(r"data:image/webp;base64,[^\"]*", text))) <= 400


def test_images_that_cannot_be_read_are_listed(tmp_path: Path) -> None:
    parts, report = checked(tmp_path)
    Path(parts.parts["train"].data.records.paths[3]).unlink()
    write_check_page(parts, report, tmp_path / "check.html")
    (card,) = [card for card in cards((tmp_path / "check.html").read_text("utf-8")) if "class conflict" in card]
    assert "no image" in card


def test_a_report_without_findings_and_one_read_from_json(tmp_path: Path) -> None:
    parts, report = checked(tmp_path)
    write_check_page(parts, CheckReport("a"), tmp_path / "check.html")
    assert "No problems were found" in (tmp_path / "check.html").read_text("utf-8")
    write_check_page(parts, CheckReport.from_json(report.as_json()), tmp_path / "check.html")
    text = (tmp_path / "check.html").read_text("utf-8")
    assert "Boxes that occur twice" in text
    assert "data-gallery=" not in re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)


@pytest.mark.parametrize("images", [0, 1])
def test_empty_parts(tmp_path: Path, images: int) -> None:
    parts, _ = checked(tmp_path, 12)
    small = parts.map(lambda part: part.take(range(images)))
    assert write_check_page(small, CheckReport("a"), tmp_path / "check.html") > 1000
