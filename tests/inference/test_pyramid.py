from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from bright import NAMES, BrightDetector, image, predictor, saved
from torch import Tensor
from torch.testing import assert_close

from detkit.inference import ImagePyramid, Predictor, detect_files
from detkit.inference.views.scales import scale_factors, scaled_config
from detkit.inference.views.view import View, crop
from detkit.ops.windows import Window
from detkit.preprocess import PreprocessConfig
from detkit.structures import Detections

INF = math.inf


class Fixed(BrightDetector):
    """Accepts only images of 40 x 40 pixels."""

    input_size = (40, 40)

    def forward(self, images: list[Tensor], targets: None = None) -> list[Detections]:
        assert all(image.shape[-2:] == self.input_size for image in images)
        return super().forward(images)


def fixed(**options: object) -> Predictor:
    config = PreprocessConfig(rule="fixed", input_size=(40, 40), interpolation="nearest")
    return Predictor(Fixed(), config, NAMES, "cpu", "fp32", reference=True, **options)  # type: ignore[arg-type]


def test_detections_of_all_scales_are_merged() -> None:
    detections = ImagePyramid(predictor(60), scales=(0.5, 1, 2))(image())
    assert detections.labels.tolist() == [0, 1]
    assert_close(detections.boxes, torch.tensor([[10.0, 20, 30, 40], [40, 5, 60, 15]]), atol=1.1, rtol=0)
    assert detections.boxes.dtype == torch.float32


def test_a_single_scale_of_1_equals_the_predictor() -> None:
    single = predictor(60)
    detections, expected = ImagePyramid(single, scales=(1,))(image()), single(image())
    assert torch.equal(detections.boxes, expected.boxes)
    assert torch.equal(detections.scores, expected.scores)
    assert torch.equal(detections.labels, expected.labels)


def test_pyramid_can_be_used_as_a_predictor(tmp_path: Path) -> None:
    pyramid = ImagePyramid(predictor(60, batch_size=2), scales=(1, 2))
    files = [saved(tmp_path, f"{i}.png", image(red=(i, 20, 30, 40))) for i in range(3)]
    results = list(detect_files(pyramid, [*files, tmp_path / "missing.png"]))
    assert [len(result.detections or ()) for result in results] == [2, 2, 2, 0]
    assert [round(float(result.detections.boxes[0, 0])) for result in results[:3]] == [0, 1, 2]
    both = pyramid([image(), str(files[0])])
    assert_close(both[0].boxes, pyramid(image()).boxes)
    assert len(both) == 2


def test_scales_are_factors_or_short_sides() -> None:
    config = PreprocessConfig(short_side=400, long_side=666)
    assert scale_factors((0.5, 1, 2), config) == (0.5, 1, 2)
    assert scale_factors((200, 400, 800), config) == (0.5, 1, 2)
    assert scale_factors((208.0,), PreprocessConfig(rule="letterbox", input_size=(416, 640))) == (0.5,)
    doubled = scaled_config(config, 2, 32)
    assert (doubled.short_side, doubled.long_side) == (800, 1332)
    letterbox = PreprocessConfig(rule="letterbox", input_size=(416, 416))
    assert scaled_config(letterbox, 1, 32) is letterbox
    assert scaled_config(letterbox, 0.6, 32).input_size == (256, 256)
    assert scaled_config(letterbox, 0.01, 32).input_size == (32, 32)
    assert scaled_config(config.replace(enlarge=False), 2, 32).enlarge


def test_size_ranges_of_scales() -> None:
    """The red box has sides of 20, the green one is 20 x 10 (14.1), whatever the scale."""

    def labels(*sizes: tuple[float, float]) -> list[int]:
        return ImagePyramid(predictor(60), scales=(1, 2), sizes=sizes)(image()).labels.tolist()

    assert labels((0, INF), (0, INF)) == [0, 1]
    assert labels((18, INF), (0, 18)) == [0, 1]
    assert labels((0, 18), (0, 18)) == [1]
    assert labels((18, INF), (18, INF)) == [0]
    assert labels((0, 5), (100, INF)) == []


@pytest.mark.parametrize("make", [lambda: predictor(60), fixed])
def test_boxes_of_flipped_views_are_mapped_back(make: object) -> None:
    pyramid = ImagePyramid(make(), scales=(1,), flip=True, merge_iou=1.0)  # type: ignore[operator]
    detections = pyramid(image())
    assert sorted(detections.labels.tolist()) == [0, 0, 1, 1]
    assert_close(detections.boxes[detections.labels == 0], torch.tensor([[10.0, 20, 30, 40]] * 2), atol=1.6, rtol=0)


def test_flipped_view() -> None:
    view = View(Window(10, 0, 50, 50), PreprocessConfig(), (0, INF), flipped=True)
    rows = Detections(torch.tensor([[5.0, 6, 15, 26]]), torch.ones(1), torch.zeros(1).long())
    detections = view.restore(rows.numpy(), (50, 60)).complete
    assert detections.boxes.tolist() == [[35.0, 6, 45, 26]]


def test_detector_with_fixed_input_size_sees_windows() -> None:
    pyramid = ImagePyramid(fixed(), scales=(1, 0.5, 2))
    assert [view.window for view in pyramid.views((80, 80))][:2] == [Window(0, 0, 80, 80), Window(0, 0, 160, 160)]
    assert len(pyramid.views((80, 80))) == 2 + 9
    detections = pyramid(image(80, 80))
    assert detections.labels.tolist() == [0, 1]
    assert_close(detections.boxes, torch.tensor([[10.0, 20, 30, 40], [40, 5, 60, 15]]), atol=2.1, rtol=0)


def test_objects_cut_by_a_window_are_left_to_other_views() -> None:
    """A box 60 wide in an image 80 wide does not fit into a window 40 wide; a box at the edge of the image is not cut."""
    wide = image(80, 80, red=(10, 60, 70, 70))
    assert 0 not in ImagePyramid(fixed(), scales=(2,))(wide).labels.tolist()
    assert ImagePyramid(fixed(), scales=(2, 1))(wide).labels.tolist() == [0, 1]
    corner = ImagePyramid(fixed(), scales=(2,))(image(80, 80, red=(0, 60, 20, 80)))
    assert_close(corner.boxes[corner.labels == 0], torch.tensor([[0.0, 60, 20, 80]]), atol=1.1, rtol=0)


def test_padding_of_a_small_view() -> None:
    pixels = torch.full((3, 4, 6), 200, dtype=torch.uint8)
    part = crop(pixels, Window(0, 0, 12, 8), 114)
    assert part.shape == (3, 8, 12)
    assert int(part[0, 0, 0]) == 200
    assert set(part[:, 4:].flatten().tolist()) == {114}
    assert_close(crop(pixels / 255, Window(0, 0, 8, 4), 114)[0, 0, -1], torch.tensor(114 / 255))
    view = View(Window(0, 0, 12, 8), PreprocessConfig(), (0, INF), flipped=False)
    rows = Detections(torch.tensor([[7.0, 5, 11, 8], [2.0, 1, 8, 3]]), torch.ones(2), torch.zeros(2).long())
    assert view.restore(rows.numpy(), (4, 6)).complete.boxes.tolist() == [[2.0, 1, 6, 3]]


def test_fusion_counts_only_views_that_can_contain_a_box() -> None:
    pixels = image()
    both = ImagePyramid(predictor(60), scales=(1, 2), merge="fusion")(pixels)
    assert_close(both.scores, torch.tensor([0.9, 0.6]))
    red_once = ImagePyramid(predictor(60), scales=(1, 2), merge="fusion", sizes=((18, INF), (0, INF)))
    assert_close(red_once(pixels).scores, torch.tensor([0.9, 0.6]))
    assert ImagePyramid(predictor(60), scales=(1, 2), flip=True).plan.sources(both.boxes.numpy(), (50, 70)).tolist() == [4, 4]


def test_soft_nms_lowers_the_score_of_duplicates() -> None:
    detections = ImagePyramid(predictor(60), scales=(1, 2), merge="gaussian")(image())
    assert_close(detections.scores, torch.tensor([0.9, 0.6, 0.9 * math.exp(-2), 0.6 * math.exp(-2)]))
    assert len(ImagePyramid(predictor(60), scales=(1, 2), merge="gaussian", min_score=0.5)(image())) == 2
    assert len(ImagePyramid(predictor(60), scales=(1, 2), merge="linear")(image())) == 2  # an IoU of 1 gives a score of 0


def test_max_detections_and_min_score_after_merging() -> None:
    assert len(ImagePyramid(predictor(60), max_detections=1)(image())) == 1
    assert ImagePyramid(predictor(60), min_score=0.7)(image()).labels.tolist() == [0]


def test_blank_and_thin_images_and_classes() -> None:
    black = np.zeros((30, 40, 3), np.uint8)
    for merge in ("hard", "gaussian", "fusion"):
        assert len(ImagePyramid(predictor(60), merge=merge)(black)) == 0  # type: ignore[arg-type]
    assert ImagePyramid(predictor(60, classes=["green"]))(image()).labels.tolist() == [1]
    assert len(ImagePyramid(fixed(), scales=(0.5, 3))(np.zeros((1, 70, 3), np.uint8))) == 0


def test_str() -> None:
    assert str(ImagePyramid(predictor(60), (0.5, 1), flip=True)) == (
        "short sides 30, 60 pixels (0.5, 1 times the detector's own size), each also flipped, merged by hard NMS"
    )
    assert str(ImagePyramid(fixed(), (40, 80), merge="fusion")) == (
        "1, 9 windows of 40 x 40 pixels (1, 2 times the detector's own size), merged by fusion"
    )
