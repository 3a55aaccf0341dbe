"""The report of a model for semantic segmentation: every number is that of the JSON, and the worst images show labels and prediction."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detkit.drawing.palette import color_of
from detkit.evaluation.segmentation import SegmentationEvaluator
from detkit.models.semantic.unet import PaperUNetConfig, UNetConfig
from detkit.preprocess import PreprocessConfig
from detkit.report.classes.segmenter import blended, worst_images

sys.path.insert(0, str(Path(__file__).resolve().parent))

from page_numbers import Numbers, check_numbers, evaluate_untrained


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evaluate an untrained U-Net on five images: a folder with its report and its JSON."""
    folder, random = tmp_path_factory.mktemp("pixels"), np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / "data" / kind).mkdir(parents=True)
    for number in range(5):
        labels = np.zeros((40, 56), np.uint8)
        labels[5:20, 4 : 20 + 4 * number], labels[30:, 30:], labels[0] = 1, 2, 255
        Image.fromarray(random.integers(0, 255, (40, 56, 3)).astype(np.uint8)).save(folder / "data" / "images" / f"{number}.png")
        Image.fromarray(labels).save(folder / "data" / "masks" / f"{number}.png")
    (folder / "data" / "classes.txt").write_text("red\nblue\n")
    paper = PaperUNetConfig(channels=(8, 16), padding="same", norm="batch", dropout=0.0)
    evaluate_untrained(folder, UNetConfig(preprocess=PreprocessConfig(rule="letterbox", input_size=(32, 32)), paper=paper), ("red", "blue"))
    return folder


def test_every_number_of_the_page_is_that_of_the_json(evaluated: Path) -> None:
    content, text = json.loads((evaluated / "n.json").read_text("utf-8")), (evaluated / "r.html").read_text("utf-8")
    page = Numbers(text)
    assert check_numbers(page, content) > 25
    assert all(key for key, _, _ in page.values)
    assert text.count('<article class="card"') == text.count("data:image/webp") == len(content["worst_images"]) == 5
    values = [row["iou"] for row in content["worst_images"]]
    assert values == sorted(values)
    assert content["pixels"] + content["ignored_pixels"] == 5 * 40 * 56
    assert [row["name"] for row in content["classes"]] == ["red", "blue", "background"]


def test_the_worst_images_come_first_and_those_without_a_known_pixel_never() -> None:
    evaluator = SegmentationEvaluator(["a", "b"])
    truth = np.array([[0, 0, 1, 2]], np.uint8)
    for predicted in (truth, truth[:, ::-1], np.array([[0, 0, 1, 1]], np.uint8)):
        evaluator.add_maps(truth, predicted)
    evaluator.add_maps(np.full((1, 4), 255, np.uint8), truth)
    numbers = evaluator.numbers()
    np.testing.assert_allclose(numbers.image_iou, [1, 0, (1 + 1 / 2 + 0) / 3, np.nan])
    assert worst_images(numbers) == [1, 2, 0]


def test_background_keeps_its_pixels_and_ignored_ones_are_white() -> None:
    image = np.full((1, 4, 3), 100, np.uint8)
    drawn = blended(image, np.array([[0, 1, 2, 255]], np.uint8), 2)
    assert drawn[0, 2].tolist() == [100] * 3
    assert drawn[0, 3].tolist() == [int(0.45 * 100 + 0.55 * 255)] * 3
    for label in (0, 1):
        np.testing.assert_allclose(drawn[0, label], 45 + 0.55 * np.array(color_of(label)), atol=1)
    assert (blended(image, np.array([[0, 1, 2, 255]], np.uint8), None)[0, 2] != 100).any()
