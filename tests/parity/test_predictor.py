"""Predictor compared with torchvision's models: images of any size in, detections in pixels of these images out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conditioning import assert_conditioned, fit_norms, freeze, spread
from skimage import data
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection import FasterRCNN
from torchvision.models.resnet import Bottleneck

from detkit.inference import Predictor
from detkit.models.published import load_published, publication
from detkit.preprocess import PreprocessConfig
from detkit.structures import Detections

pytestmark = pytest.mark.slow  # a network of the published size

CASES = [
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    pytest.param("fasterrcnn_resnet50_fpn", marks=pytest.mark.slow),
    pytest.param("fasterrcnn_mobilenet_v3_large_fpn", marks=pytest.mark.slow),
    pytest.param("fasterrcnn_resnet50_fpn_v2", marks=pytest.mark.slow),
]
SIDES = (320, 640)
PROPOSALS = 150
BRANCH = 0.2
"""Weight of the last norm in a residual branch: rounding then moves boxes by .0015 px and scores by 2e-4; with 1, scores by 2e-3."""
NORM_EPS = {"fasterrcnn_resnet50_fpn": 0.0, "fasterrcnn_resnet50_fpn_v2": None}


def images() -> list[np.ndarray]:
    """Four photographs of four shapes, none of which is the input size of a model; one is mirrored."""
    photographs = [getattr(data, name)() for name in ("astronaut", "chelsea", "coffee", "rocket")]
    return [np.ascontiguousarray(photographs[0][:, ::-1]), *(image.copy() for image in photographs[1:])]


def published(name: str, photographs: list[Tensor], file: Path) -> FasterRCNN:
    """Torchvision's model with conditioned weights, saved in torchvision's format."""
    torch.manual_seed(0)
    model: FasterRCNN = getattr(detection, name)(
        weights=None, weights_backbone=None, min_size=SIDES[0], max_size=SIDES[1], rpn_post_nms_top_n_test=PROPOSALS
    )
    model.eval()
    # Weak residual branches, as in trained networks: random ones at full strength amplify rounding ten times as much.
    for block in model.modules():
        if isinstance(block, Bottleneck):
            nn.init.constant_(block.bn3.weight, BRANCH)

    def run() -> object:
        with torch.no_grad():
            return model(photographs)

    fit_norms(model, run)
    spread(model.rpn.head.cls_logits, run, 2.0)
    # Small box deltas: the two inputs differ in the last bits, and a network of random weights amplifies this difference.
    spread(model.rpn.head.bbox_pred, run, 0.1)
    spread(model.roi_heads.box_predictor.cls_score, run, 4.0)
    spread(model.roi_heads.box_predictor.bbox_pred, run, 0.3)
    unused = [index + 1 for index, class_name in enumerate(publication(name).class_names) if class_name is None]
    with torch.no_grad():
        model.roi_heads.box_predictor.cls_score.bias[[index for index in unused if index < 91]] = -30.0
    eps = NORM_EPS.get(name, 1e-5)
    if eps is not None:
        freeze(model, eps)
    torch.save({key: tensor for key, tensor in model.state_dict().items() if not key.endswith("num_batches_tracked")}, file)
    return model


def assert_all_matched(detections: Detections, reference: Detections) -> None:
    """Check that each detection has a match in the reference: equal label, box within 0.05 px, score within 1e-3.

    Torchvision normalizes before it resizes, detkit after: the inputs differ in the last bits, and a network of random weights amplifies
    this difference. It can swap neighbors in the order, and decide which detections exceed the maximum of 100 and which of a pair at the
    NMS threshold is kept: one such pair per image is tolerated.
    """
    certain = detections[detections.scores > reference.scores.min() + 2e-3]
    assert len(certain) >= 40
    distance = (certain.boxes[:, None] - reference.boxes[None]).abs().amax(-1)
    matches = (
        (distance < 0.05)
        & ((certain.scores[:, None] - reference.scores[None]).abs() < 1e-3)
        & (certain.labels[:, None] == reference.labels[None])
    )
    unmatched = int((~matches.any(1)).sum())
    assert unmatched <= 1, f"{unmatched} of {len(certain)} detections have no match"


@pytest.mark.oracle(
    "torchvision",
    "the whole path from pixels to detections, Faster R-CNN",
    tolerance="boxes 0.05 px, scores 1e-3, same labels",
    models="cases",
)
@pytest.mark.parametrize("name", CASES)
def test_unresized_images(name: str, tmp_path: Path) -> None:
    photographs = images()[: 2 if "resnet50" in name else None]  # of two shapes: the network is large
    tensors = [torch.from_numpy(image).permute(2, 0, 1).float() / 255 for image in photographs]
    model = published(name, tensors, tmp_path / "weights.pth")
    loaded = load_published(name, tmp_path / "weights.pth")
    loaded.detector.rpn.config = loaded.detector.rpn.config.replace(max_proposals=PROPOSALS)  # type: ignore[union-attr, operator]
    preprocess = PreprocessConfig(short_side=SIDES[0], long_side=SIDES[1])
    predictor = Predictor(loaded.detector, preprocess, loaded.class_names, "cpu", reference=True)
    with torch.no_grad():
        # One at a time, as in the predictor: padding to a common size would influence the result.
        expected = [rows | {"labels": rows["labels"] - 1} for tensor in tensors for rows in model([tensor])]
    assert_conditioned(expected)
    for detections, rows in zip(predictor(photographs), expected, strict=True):
        reference = Detections(rows["boxes"], rows["scores"], rows["labels"])
        assert_all_matched(detections, reference)
        assert_all_matched(reference, detections)
