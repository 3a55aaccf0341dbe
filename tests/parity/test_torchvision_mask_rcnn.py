"""Mask R-CNN compared with torchvision's on the same weights and images, through files in torchvision's published format."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from conditioning import assert_conditioned, assert_same_detections, fit_norms, freeze, spread_all
from test_torchvision_faster_rcnn import LOSSES, UNUSED, TorchvisionFirstSampler, as_published, first_sampler
from torch import Tensor
from torchvision.models import detection
from torchvision.models.detection.roi_heads import paste_masks_in_image

import detkit
from detkit.models.mask_rcnn import MaskRCNN
from detkit.models.published import load_published, publication
from detkit.ops.masks.paste import paste_masks
from detkit.structures import Detections, Masks, Targets

pytestmark = pytest.mark.slow  # networks of the published sizes

PROPOSALS = 80


class Reference(NamedTuple):
    """A conditioned model of torchvision, and its published file."""

    name: str
    model: Any
    file: Path


@pytest.fixture(scope="module", params=["maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2"])
def reference(request: pytest.FixtureRequest, photographs: list[Tensor], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    name, old = request.param, not request.param.endswith("v2")
    torch.manual_seed(0)
    model = getattr(detection, name)(weights=None, weights_backbone=None, rpn_post_nms_top_n_test=PROPOSALS).eval()
    model.transform.resize = lambda image, target: (image, target)
    condition(model, photographs[:2])
    if old:
        freeze(model.backbone, 0.0)
    file = tmp_path_factory.mktemp("published") / f"{name}.pth"
    state = as_published(model.state_dict(), old=old)
    if old:
        state = {re.sub(r"mask_head\.(\d)\.0\.", lambda match: f"mask_head.mask_fcn{int(match[1]) + 1}.", key): state[key] for key in state}
    torch.save(state, file)
    yield Reference(name, model, file)
    file.unlink()


@torch.no_grad()
def condition(model: Any, photographs: list[Tensor]) -> None:
    def run() -> object:
        return model(photographs)

    fit_norms(model, run)
    spread_all({model.rpn.head.cls_logits: 2.0, model.rpn.head.bbox_pred: 0.3}, run)
    heads = model.roi_heads
    spread_all({heads.box_predictor.cls_score: 4.5, heads.box_predictor.bbox_pred: 1.0}, run)
    heads.box_predictor.cls_score.bias[[index + 1 for index in UNUSED]] = -30.0  # torchvision's file never detects them either
    fit_norms(heads.mask_head, run)  # boxes, and with them its inputs, are those of the final model only now
    spread_all({heads.mask_predictor.mask_fcn_logits: 2.0}, run)


def own(reference: Reference, **backbone: object) -> MaskRCNN:
    """Load detkit's model from the published file, with as many proposals."""
    entry = publication(reference.name)
    config = entry.config.replace(rpn=entry.config.rpn.replace(max_proposals=PROPOSALS))
    model = config.replace(backbone=config.backbone.replace(**backbone)).build(len(entry.class_names))
    model.load_state_dict(load_published(reference.name, reference.file).detector.state_dict())
    return model.eval()


@pytest.mark.oracle(
    "torchvision",
    "boxes and masks of Mask R-CNN",
    tolerance="boxes 1e-3 px, scores 1e-5, same labels, mask probabilities 1e-4, IoU of pasted masks above .999",
    models="cases",
)
@torch.no_grad()
def test_boxes_and_masks_are_equal(reference: Reference, photographs: list[Tensor]) -> None:
    images = photographs[:2]
    raw: list[Tensor] = []
    handle = reference.model.roi_heads.mask_predictor.register_forward_hook(lambda *args: raw.append(args[-1].sigmoid()))
    expected = [rows | {"labels": rows["labels"] - 1} for rows in reference.model(images)]
    handle.remove()
    assert_conditioned(expected)
    detections = own(reference)(images)
    assert_same_detections(detections, expected, nms_iou=0.5)
    probabilities = raw[0].split([len(rows["labels"]) for rows in expected])
    for image, rows, theirs, grids in zip(images, detections, expected, probabilities, strict=True):
        assert torch.equal(rows.labels, theirs["labels"]), "compared row by row"
        assert rows.mask_probabilities is not None
        torch.testing.assert_close(rows.mask_probabilities, grids[torch.arange(len(rows)), rows.labels + 1], atol=1e-4, rtol=0)
        assert_same_pixels(rows, theirs, (image.shape[1], image.shape[2]))


def assert_same_pixels(rows: Detections, theirs: dict[str, Tensor], size: tuple[int, int]) -> None:
    """Check that the IoU of all pasted masks is above .999, and that the masks are neither empty nor full boxes."""
    arrays = rows.numpy()
    assert arrays.mask_probabilities is not None
    pixels = paste_masks(arrays.mask_probabilities, arrays.boxes, size).arrays(size)
    reference = theirs["masks"][:, 0].numpy() > 0.5
    shared, union = (pixels & reference).sum((1, 2)), (pixels | reference).sum((1, 2))
    assert (shared / union.clip(1))[union > 0].min() > 0.999
    fractions = reference.sum((1, 2)) / np.maximum(1, (arrays.boxes[:, 2:] - arrays.boxes[:, :2]).prod(1))
    assert 0.2 < np.median(fractions) < 0.8


@pytest.mark.oracle("torchvision", "losses of Mask R-CNN", tolerance="1e-4 relative")
def test_losses_are_equal(reference: Reference, photographs: list[Tensor]) -> None:
    """The second image has no objects; the objects of the others are random blobs."""
    images = photographs[:2]
    size = (images[0].shape[1], images[0].shape[2])
    random = np.random.default_rng(0)
    blobs = np.zeros((3, *size), np.bool_)
    for blob, (y, x) in zip(blobs, random.integers(0, 80, (3, 2)), strict=True):
        blob[y : y + 70, x : x + 60] = random.random((70, 60)) > 0.3
    masks = Masks.of_arrays(blobs)
    labels = torch.tensor([4, 2, 7])
    boxes = torch.from_numpy(masks.boxes)
    targets = [Targets.of(boxes, labels).replace(masks=masks), Targets.empty()]
    theirs = [
        {"boxes": boxes, "labels": labels + 1, "masks": torch.from_numpy(blobs).to(torch.uint8)},
        {"boxes": torch.zeros((0, 4)), "labels": torch.zeros(0, dtype=torch.int64), "masks": torch.zeros((0, *images[1].shape[1:]))},
    ]
    model = own(reference, frozen_stages=0).train()
    model.rpn.sample = model.region.sample = first_sampler
    model.region.config = model.region.config.replace(samples_per_image=PROPOSALS)
    heads, rpn = reference.model.roi_heads, reference.model.rpn
    rpn.fg_bg_sampler, heads.fg_bg_sampler = TorchvisionFirstSampler(256, 0.5), TorchvisionFirstSampler(PROPOSALS, 0.25)
    state = {name: tensor.clone() for name, tensor in reference.model.state_dict().items()}
    reference.model.train()
    try:
        with torch.no_grad():
            expected, losses = reference.model(images, theirs), model(images, targets)
    finally:
        reference.model.eval()
        reference.model.load_state_dict(state)
    names = LOSSES | {"region_mask": "loss_mask"}
    assert set(losses) == set(names)
    for name, key in names.items():
        assert float(expected[key]) > 0
        torch.testing.assert_close(losses[name], expected[key], rtol=1e-4, atol=0, msg=lambda text, name=name: f"{name}: {text}")


@torch.no_grad()
def test_a_predictor_gives_masks_of_torchvisions_file(reference: Reference) -> None:
    """Through :func:`detkit.load`, on an image that is resized: the masks are in its own pixels."""
    predictor = detkit.load(reference.name, file=reference.file, device="cpu", reference=True)
    predictor.preprocess = predictor.preprocess.replace(short_side=160, long_side=256)  # much faster than 800
    pixels = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    rows = predictor(pixels)
    assert rows.masks is not None
    assert len(rows) == len(rows.masks) > 0
    expected = paste_masks_in_image(rows.mask_probabilities[:, None], rows.boxes, (90, 70))[:, 0] > 0.5  # type: ignore[index]
    assert (rows.masks.arrays((90, 70)) != expected.numpy()).mean() < 1e-3


def test_a_file_of_the_other_version_is_rejected(reference: Reference) -> None:
    other = {"maskrcnn_resnet50_fpn": "maskrcnn_resnet50_fpn_v2", "maskrcnn_resnet50_fpn_v2": "fasterrcnn_resnet50_fpn_v2"}
    with pytest.raises(ValueError, match=f"not {other[reference.name]}: "):
        load_published(other[reference.name], reference.file)
