from __future__ import annotations

import numpy as np
import pytest
import torch

from detkit.drawing import contact_sheet, draw_detections, draw_targets, readable_scale, side_by_side
from detkit.drawing.canvas import Canvas
from detkit.drawing.fonts import drawable, font_for
from detkit.drawing.palette import GRAY, color_of, text_color_on
from detkit.structures import Detections, Targets
from detkit.structures.detection import DetectionArrays

NAMES = ("cat", "dog", None)


def gray(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 128, np.uint8)


def detections(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    table = torch.tensor([row[:5] for row in rows], dtype=torch.float32).reshape(-1, 5)
    return Detections(table[:, :4], table[:, 4], torch.tensor([row[5] for row in rows], dtype=torch.int64))


def has_color(image: np.ndarray, label: int) -> bool:
    return bool((image == np.array(color_of(label), np.uint8)).all(-1).any())


def test_box_is_drawn_in_the_color_of_its_class() -> None:
    drawn = draw_detections(gray(300, 400), detections((50, 100, 250, 200, 0.9, 1)), NAMES)
    assert drawn.shape == (300, 400, 3)
    assert tuple(drawn[150, 50]) == color_of(1)
    assert tuple(drawn[199, 150]) == color_of(1)
    assert tuple(drawn[150, 150]) == (128, 128, 128)
    assert tuple(drawn[250, 350]) == (128, 128, 128)


def test_inputs_are_not_modified() -> None:
    image = gray(100, 100)
    tensor = torch.rand(3, 50, 60)
    original = tensor.clone()
    draw_detections(image, detections((5, 5, 90, 90, 0.9, 0)), NAMES)
    draw_detections(tensor, detections((5, 5, 40, 40, 0.9, 0)), NAMES)
    assert (image == 128).all()
    torch.testing.assert_close(tensor, original)


def test_nothing_to_draw() -> None:
    np.testing.assert_array_equal(draw_detections(gray(20, 30), Detections.empty(), NAMES), gray(20, 30))
    np.testing.assert_array_equal(draw_targets(gray(20, 30), Targets.empty(), NAMES), gray(20, 30))


def test_low_scores_are_not_drawn() -> None:
    drawn = draw_detections(gray(200, 200), detections((10, 50, 80, 90, 0.9, 0), (100, 100, 190, 190, 0.2, 1)), NAMES, min_score=0.5)
    assert has_color(drawn, 0)
    assert not has_color(drawn, 1)


@pytest.mark.parametrize("size", [(1, 1), (8, 500), (500, 8), (40, 30)])
def test_images_of_any_size(size: tuple[int, int]) -> None:
    rows = detections((0, 0, size[1], size[0], 0.9, 0), (0, 0, 0, 0, 0.8, 2), (size[1], size[0], size[1], size[0], 0.7, 1))
    assert draw_detections(gray(*size), rows, NAMES).shape == (*size, 3)
    assert draw_detections(gray(*size), rows, NAMES, scale=3).shape == (3 * size[0], 3 * size[1], 3)


@pytest.mark.parametrize(
    "box", [(0, 0, 5, 5), (390, 0, 400, 5), (0, 295, 5, 300), (395, 295, 400, 300), (0, 0, 400, 300), (-50, -50, 900, 900)]
)
def test_labels_are_inside_the_image(box: tuple[float, float, float, float]) -> None:
    canvas = Canvas(gray(300, 400))
    canvas.label(box, "a rather long name 0.99", (255, 0, 0))
    left, top, right, bottom = canvas._labels[0]
    assert min(left, top) >= 0
    assert right <= 400
    assert bottom <= 300


def test_labels_of_identical_boxes_do_not_overlap() -> None:
    canvas = Canvas(gray(300, 400))
    for _ in range(4):
        canvas.label((100, 100, 220, 200), "cat 0.9", (255, 0, 0))
    first, second, third, fourth = canvas._labels
    assert len({first, second, third, fourth}) == 4


def test_lines_and_fonts_scale_with_the_image() -> None:
    small, large = Canvas(gray(400, 400)).style, Canvas(gray(3000, 4000)).style
    assert large.line_width >= 5 * small.line_width
    assert large.font_size >= 5 * small.font_size
    assert readable_scale((48, 64)) == 8
    assert readable_scale((600, 800)) == 1


def test_crowds_are_dashed() -> None:
    boxes, labels = torch.tensor([[20.0, 50.0, 180.0, 150.0]]), torch.tensor([0])
    plain = draw_targets(gray(200, 200), Targets.of(boxes, labels), NAMES)
    crowd = draw_targets(gray(200, 200), Targets.of(boxes, labels, is_crowd=torch.tensor([True])), NAMES)
    edges = [int((image[60:150, 20] == np.array(color_of(0), np.uint8)).all(-1).sum()) for image in (plain, crowd)]
    assert edges[0] == 90
    assert 20 < edges[1] < 70


def test_side_by_side() -> None:
    targets = Targets.of(torch.tensor([[20.0, 50.0, 180.0, 150.0]]), torch.tensor([0]))
    sheet = side_by_side(gray(480, 480), targets, detections((30, 60, 170, 140, 0.9, 1), (0, 0, 5, 5, 0.1, 2)), NAMES)
    assert has_color(sheet[:, :480], 0)
    assert not has_color(sheet[:, :480], 1)
    assert has_color(sheet[:, 488:], 1)
    assert not has_color(sheet, 2)


def test_contact_sheet_of_different_sizes() -> None:
    sheet = contact_sheet([gray(100, 200), gray(300, 100), torch.zeros(3, 50, 50)], captions=["a", "b", "c"], max_side=150)
    assert sheet.shape[1] == 2 * 150 + 8
    with pytest.raises(ValueError, match="one caption"):
        contact_sheet([gray(4, 4)], captions=["a", "b"])
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([])


def test_eighty_classes_have_different_colors() -> None:
    colors = [color_of(label) for label in range(80)]
    assert len(set(colors)) == 80
    assert text_color_on((255, 255, 0)) == (0, 0, 0)
    assert text_color_on((0, 0, 128)) == (255, 255, 255)


def test_font_with_the_characters_of_a_name() -> None:
    if font_for("человек", 20) is None:
        pytest.skip("no font with Cyrillic characters")
    assert drawable("человек", "class 3") == "человек"
    font = font_for("человек", 20)
    assert font is not None
    assert bytes(font.getmask("ч")) != bytes(font.getmask("\uffff"))


def test_name_without_a_font_falls_back_to_the_class_number(caplog: pytest.LogCaptureFixture) -> None:
    private = "\U000f1234\U000f1235"
    assert drawable(private, "class 3") == "class 3"
    assert "DETKIT_FONT" in caplog.text


def test_accents_are_dropped_before_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detkit.drawing.fonts._system_fonts", lambda: ())
    drawable.cache_clear()
    assert drawable("žluť", "class 0") == "zlut"
    drawable.cache_clear()


def test_invalid_image() -> None:
    with pytest.raises(ValueError, match=r"expected \(H, W, 3\) uint8"):
        draw_detections(np.zeros((4, 4, 3), np.float32), Detections.empty(), NAMES)


def test_regions_of_no_class_are_gray_and_not_named_after_the_first_class() -> None:
    flags = torch.tensor([True])
    rows = Targets.filled(torch.tensor([[20.0, 20.0, 180.0, 180.0]]), labels=torch.tensor([0]), is_crowd=flags, is_ignore=flags)
    drawn = draw_targets(gray(200, 200) * 0, rows, NAMES)
    assert not has_color(drawn, 0)
    assert (drawn == np.array(GRAY, np.uint8)).all(-1).any()


def test_very_many_detections_have_no_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.zeros((80, 120, 3), np.uint8)
    rows = DetectionArrays(np.array([[10, 40, 60, 70]] * 2, np.float32), np.array([0.9, 0.8], np.float32), np.zeros(2, np.int64))
    labeled = draw_detections(image, rows, ["cat"])
    monkeypatch.setattr("detkit.drawing.boxes.MOST_LABELS", 1)
    boxes_only = draw_detections(image, rows, ["cat"])
    assert 0 < (boxes_only > 0).any(2).sum() < (labeled > 0).any(2).sum()
