"""The Predictor against torchvision's own door: images of any size in, detections in their own pixels out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conditioning import assert_conditioned, fit_norms, freeze, spread
from skimage import data
from torch import Tensor
from torchvision.models import detection
from torchvision.models.detection import FasterRCNN

from detkit.inference import Predictor
from detkit.models.published import load_published, publication
from detkit.preprocess import PreprocessConfig
from detkit.structures import Detections

CASES = [
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    pytest.param("fasterrcnn_resnet50_fpn", marks=pytest.mark.slow),
    pytest.param("fasterrcnn_mobilenet_v3_large_fpn", marks=pytest.mark.slow),
    pytest.param("fasterrcnn_resnet50_fpn_v2", marks=pytest.mark.slow),
]
SIDES = (320, 640)
PROPOSALS = 150
NORM_EPS = {"fasterrcnn_resnet50_fpn": 0.0, "fasterrcnn_resnet50_fpn_v2": None}


def images() -> list[np.ndarray]:
    """Eight photographs of four shapes, none of which is a size that a model asks for."""
    whole = [getattr(data, name)() for name in ("astronaut", "chelsea", "coffee", "rocket")]
    return [image.copy() for image in whole] + [np.ascontiguousarray(image[:, ::-1]) for image in whole]


def published(name: str, photographs: list[Tensor], file: Path) -> FasterRCNN:
    """Torchvision's model with conditioned weights, saved as torchvision saves them."""
    torch.manual_seed(0)
    model: FasterRCNN = getattr(detection, name)(
        weights=None, weights_backbone=None, min_size=SIDES[0], max_size=SIDES[1], rpn_post_nms_top_n_test=PROPOSALS
    )
    model.eval()

    def run() -> object:
        with torch.no_grad():
            return model(photographs[:4])

    fit_norms(model, run)
    spread(model.rpn.head.cls_logits, run, 2.0)
    # Small shifts of boxes: a network of random weights multiplies the last bits of its input, in which the two differ.
    spread(model.rpn.head.bbox_pred, run, 0.1)
    spread(model.roi_heads.box_predictor.cls_score, run, 4.0)
    spread(model.roi_heads.box_predictor.bbox_pred, run, 0.3)
    unused = [place + 1 for place, class_name in enumerate(publication(name).class_names) if class_name is None]
    with torch.no_grad():
        model.roi_heads.box_predictor.cls_score.bias[[place for place in unused if place < 91]] = -30.0
    eps = NORM_EPS.get(name, 1e-5)
    if eps is not None:
        freeze(model, eps)
    torch.save({key: tensor for key, tensor in model.state_dict().items() if not key.endswith("num_batches_tracked")}, file)
    return model


def assert_all_found(wanted: Detections, among: Detections) -> None:
    """Each of ``wanted`` has its like: the label, the box within .05 px, the score within 1e-3.

    Torchvision normalizes before it resizes and we after: the inputs differ in the last bits, which a network of random weights
    multiplies. That may exchange neighbors in the order, decides which ones the limit of 100 cuts off, and which of a pair
    lives whose IoU is at a threshold: one such pair a image is let pass.
    """
    surely = wanted[wanted.scores > among.scores.min() + 2e-3]
    assert len(surely) >= 40
    apart = (surely.boxes[:, None] - among.boxes[None]).abs().amax(-1)
    like = (apart < 0.05) & ((surely.scores[:, None] - among.scores[None]).abs() < 1e-3) & (surely.labels[:, None] == among.labels[None])
    without = int((~like.any(1)).sum())
    assert without <= 1, f"{without} of {len(surely)} detections have no like"


@pytest.mark.parametrize("name", CASES)
def test_unresized_images(name: str, tmp_path: Path) -> None:
    photographs = images()
    tensors = [torch.from_numpy(image).permute(2, 0, 1).float() / 255 for image in photographs]
    theirs = published(name, tensors, tmp_path / "weights.pth")
    ours = load_published(name, tmp_path / "weights.pth")
    ours.detector.rpn.config = ours.detector.rpn.config.replace(proposals=PROPOSALS)  # type: ignore[union-attr, operator]
    preprocess = PreprocessConfig(short_side=SIDES[0], long_side=SIDES[1])
    predictor = Predictor(ours.detector, preprocess, ours.class_names, "cpu", reference=True)
    with torch.no_grad():
        # One at a time, as the predictor runs them: padding to a common size is seen by every padded network.
        expected = [found | {"labels": found["labels"] - 1} for tensor in tensors for found in theirs([tensor])]
    assert_conditioned(expected)
    for mine, reference in zip(predictor(photographs), expected, strict=True):
        theirs_as_ours = Detections(reference["boxes"], reference["scores"], reference["labels"])
        assert_all_found(mine, theirs_as_ours)
        assert_all_found(theirs_as_ours, mine)
