"""Selection of detections for all images of a batch at once, against the selection image by image."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from detkit.export.select import BoxSource, Entries, level_of_rows, select, unsupported
from detkit.heads.postprocess import PostprocessConfig
from detkit.ops.boxes import clip_boxes
from detkit.ops.select import Selection

SIZES = torch.tensor([[90, 120], [100, 70], [64, 64]])
RULES = {
    "levels": PostprocessConfig(pre_nms_top_k=40),
    "more than there are": PostprocessConfig(pre_nms_top_k=4000, max_detections=500),
    "class agnostic": PostprocessConfig(pre_nms_top_k=60, class_agnostic=True),
    "class agnostic, all": PostprocessConfig(pre_nms_top_k=None, class_agnostic=True),
    "all": PostprocessConfig(pre_nms_top_k=None, min_score=0.3, nms_iou=0.65),
    "per class": PostprocessConfig(pre_nms_top_k=None, pre_nms_top_k_per_class=9, nms_iou=0.45, max_detections=20),
    "per class, filled": PostprocessConfig(pre_nms_top_k=None, pre_nms_top_k_per_class=90, nms_iou=0.45),
    "per class, of the best": PostprocessConfig(pre_nms_top_k=50, pre_nms_top_k_per_class=7),
    "no nms": PostprocessConfig(pre_nms_top_k=None, nms_iou=None, min_score=0.0),
    "no nms, levels": PostprocessConfig(pre_nms_top_k=30, nms_iou=None, min_score=0.5, max_detections=25),
    "nothing": PostprocessConfig(min_score=0.999),
}


def scene(levels: tuple[int, ...], classes: int) -> tuple[Tensor, Tensor]:
    """Scores without ties, and boxes ``(B, N, K, 4)`` that stick out of the images."""
    generator = torch.Generator().manual_seed(0)
    count = sum(levels)
    scores = torch.rand((len(SIZES), count, classes), generator=generator)
    corners = torch.rand((len(SIZES), count, classes, 2), generator=generator) * 110 - 10
    sides = torch.rand((len(SIZES), count, classes, 2), generator=generator) * 60
    return scores, torch.cat((corners, corners + sides), -1)


def decoder(boxes: Tensor) -> BoxSource:
    def decode(entries: Entries) -> Tensor:
        images = torch.arange(len(boxes))[:, None]
        return boxes[images, entries.rows, entries.labels]

    return BoxSource(decode, SIZES, by_class=boxes.shape[2] > 1)


@pytest.mark.parametrize("min_size", [0.0, 8.0])
@pytest.mark.parametrize("by_class", [False, True])
@pytest.mark.parametrize("name", RULES)
def test_same_detections_as_image_by_image(name: str, by_class: bool, min_size: float) -> None:
    levels, rules = (40, 11, 3), RULES[name]
    scores, boxes = scene(levels, 5)
    if not by_class:
        boxes = boxes[:, :, :1].expand_as(boxes)
    source = decoder(boxes)
    selected = select(scores, BoxSource(source.decode, SIZES, by_class, min_size), rules, levels)
    for image, size in enumerate(SIZES.tolist()):

        def one(selection: Selection, image: int = image, size: tuple[int, int] = tuple(size)) -> Tensor:
            return clip_boxes(boxes[image, selection.rows, selection.labels], size)

        expected, entries = rules.select(one, scores[image], levels, min_size)
        count = int(selected.counts[image])
        assert count == len(expected)
        assert name == "nothing" or count > 3
        torch.testing.assert_close(selected.scores[image, :count], entries.scores, rtol=0, atol=0)
        torch.testing.assert_close(selected.labels[image, :count], entries.labels)
        torch.testing.assert_close(selected.boxes[image, :count], expected, rtol=0, atol=0)
        assert not selected.scores[image, count:].any()
        assert not selected.boxes[image, count:].any()
        assert bool((selected.labels[image, count:] == -1).all())


def test_levels_of_rows() -> None:
    rows = torch.arange(54)[None]
    assert level_of_rows((40, 11, 3), rows)[0].tolist() == [0] * 40 + [1] * 11 + [2] * 3


def test_soft_nms_is_not_supported() -> None:
    assert "Soft-NMS (nms=linear)" in str(unsupported(PostprocessConfig(nms="linear")))
    assert unsupported(PostprocessConfig()) is None


class Selecting(nn.Module):
    """Selects from given scores and boxes, for the exporter."""

    def __init__(self, rules: PostprocessConfig, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.rules, self.levels = rules, levels

    def forward(self, scores: Tensor, boxes: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        def decode(entries: Entries) -> Tensor:
            return boxes.gather(1, entries.rows[..., None].expand(-1, -1, 4))

        selected = select(scores, BoxSource(decode, sizes), self.rules, self.levels)
        return selected.boxes, selected.scores, selected.labels, selected.counts


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", RULES)
def test_in_onnxruntime_for_any_number_of_images(name: str) -> None:
    runtime = pytest.importorskip("onnxruntime")
    module, levels = Selecting(RULES[name], (40, 11, 3)), (40, 11, 3)
    scores, boxes = scene(levels, 5)
    boxes, file = boxes[:, :, 0], io.BytesIO()
    names = ["scores", "boxes", "sizes"]
    axes = {key: {0: "batch"} for key in names}
    torch.onnx.export(
        module, (scores[:2], boxes[:2], SIZES[:2]), file, input_names=names, dynamic_axes=axes, opset_version=17, dynamo=False
    )
    session = runtime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    for count in (1, 3):
        inputs = scores[:count], boxes[:count], SIZES[:count]
        actual = session.run(None, {key: value.numpy() for key, value in zip(names, inputs, strict=True)})
        for expected, got in zip(module(*inputs), actual, strict=True):
            np.testing.assert_array_equal(expected.numpy(), got)
