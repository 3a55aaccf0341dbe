"""The report of a classifier: every number is that of the JSON, mistakes are shown, and a browser opens the cells."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import NARROW, WIDE, opened
from PIL import Image

from detkit.backbones import BackboneConfig
from detkit.cli.main import main
from detkit.models.classifier import ClassifierConfig
from detkit.preprocess import PreprocessConfig
from detkit.report.sections import confusion
from detkit.report.sections.confusion import most_confused

sys.path.insert(0, str(Path(__file__).resolve().parent))

from page_numbers import Numbers, check_numbers, evaluate_untrained

CLASSES = ("cat", "犬 <dog>", "bird")


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evaluate an untrained classifier, whose predictions differ between images: a folder with its report and its JSON."""
    folder, random = tmp_path_factory.mktemp("classes"), np.random.default_rng(0)
    for label, name in enumerate(CLASSES[:2]):
        (folder / "data" / name).mkdir(parents=True)
        for index in range(9 if label else 6):
            pixels = random.integers(0, 80 + 170 * (index % 2), (40, 60, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "data" / name / f"{index}.png")
    preprocess = PreprocessConfig(rule="letterbox", input_size=(32, 32))
    config = ClassifierConfig(backbone=BackboneConfig(name="lenet5", weights=None, frozen_stages=0), preprocess=preprocess)
    evaluate_untrained(folder, config, CLASSES)
    return folder


def test_every_number_of_the_page_is_that_of_the_json(evaluated: Path) -> None:
    content, text = json.loads((evaluated / "n.json").read_text("utf-8")), (evaluated / "r.html").read_text("utf-8")
    page = Numbers(text)
    assert check_numbers(page, content) > 50
    assert all(key for key, _, _ in page.values)
    analysis = content["analysis"]
    assert 0 < analysis["mistake_count"] == len(analysis["mistakes"]) < 15 == content["images"]
    assert sum(row["count"] for row in analysis["confusions"]) == 15
    assert text.count('<article class="card"') == text.count("data:image/webp") == analysis["mistake_count"]
    assert "detkit evaluate" in text
    assert "<dog>" not in text


def test_the_report_is_written_into_a_new_folder_or_not_at_all(
    evaluated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DETKIT_NO_REPORT")
    words = ["evaluate", str(evaluated / "model.safetensors"), "--data", str(evaluated / "data"), "--device", "cpu"]
    assert main([*words, "--no-report"]) == 0
    assert not list(tmp_path.iterdir())
    assert main(words) == 0
    assert (tmp_path / "runs" / "evaluate-1" / "report.html").is_file()
    assert "report: runs/evaluate-1/report.html" in capsys.readouterr().out.replace("\\", "/")


def test_a_matrix_of_many_classes_shows_those_that_are_confused_most(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {(0, 0): 99, (1, 4): 3, (4, 2): 1, (3, 3): 7}
    assert most_confused([4, 3, 2, 1, 0], counts) == [4, 3, 2, 1, 0]
    monkeypatch.setattr(confusion, "SHOWN_CLASSES", 2)
    assert most_confused([4, 3, 2, 1, 0], counts) == [4, 1]


@pytest.mark.slow
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_cells_open_their_images(chromium: Any, evaluated: Path, size: tuple[int, int]) -> None:
    with opened(chromium, evaluated / "r.html", size) as result:
        page = result.page
        assert result.overflow() == 0
        assert "top-1" in page.locator(".lead").inner_text()
        wrong = page.locator("td.low button[data-cell]").first
        count = int(wrong.inner_text())
        wrong.click()
        assert f": {count} case" in page.locator("#cell-panel h3").inner_text()
        assert page.locator("#cell-panel .card").count() == count
        assert page.locator("#cell-panel .card img").first.evaluate("image => image.decode().then(() => image.naturalWidth)") > 20
        right = page.locator("table.heat td:not(.low) button[data-cell]").first
        count = int(right.inner_text())
        right.click()
        assert page.locator("#cell-panel li").count() == count
        page.locator("#mistakes select.by").first.select_option(index=1)
        assert page.locator("#mistakes .card:not([hidden])").count() > 0
    assert result.problems == []
