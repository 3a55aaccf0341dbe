"""Mask R-CNN memorizes the masks of two images, trained from scratch in a plain loop."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent))
from test_overfit import RECIPES, Recipe, small_mask_rcnn

from detkit.backbones import BackboneConfig
from detkit.inference import Predictor
from detkit.models.mask_rcnn import MaskRCNN, MaskRCNNConfig
from detkit.preprocess import PreprocessConfig
from detkit.structures import Detections, Masks, Targets

pytestmark = pytest.mark.slow

SIZE = (128, 160)
COLORS = ((0.9, 0.1, 0.1), (0.1, 0.8, 0.2), (0.2, 0.3, 1.0))
# Center, half axes, class: a disk is of class 0, a ring of class 1, and a triangle of class 2.
OBJECTS = (
    ((40, 45, 28, 28, 0), (115, 35, 36, 26, 1), (90, 95, 30, 30, 2)),
    ((60, 85, 40, 32, 1), (120, 50, 24, 34, 0)),
)


def drawn(x: int, y: int, half_width: int, half_height: int, label: int) -> Any:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    across, down = (columns - x) / half_width, (rows - y) / half_height
    distance = np.hypot(across, down)
    triangle = (np.abs(down) <= 1) & (np.abs(across) <= (down + 1) / 2)
    return (distance <= 1, (distance <= 1) & (distance >= 0.6), triangle)[label]


def images_and_targets() -> tuple[list[Tensor], list[Targets]]:
    generator = torch.Generator().manual_seed(0)
    images, targets = [], []
    for rows in OBJECTS:
        image = 0.4 + 0.1 * torch.rand(3, *SIZE, generator=generator)
        pixels = np.stack([drawn(*row) for row in rows])
        for mask, row in zip(pixels, rows, strict=True):
            image[:, torch.from_numpy(mask)] = torch.tensor(COLORS[row[-1]])[:, None]
        masks = Masks.of_arrays(pixels)
        images.append(image)
        targets.append(Targets.of(torch.from_numpy(masks.boxes), torch.tensor([row[-1] for row in rows])).replace(masks=masks))
    return images, targets


def segmentation_ap50(detections: list[Detections], targets: list[Targets]) -> float:
    """AP of masks at an IoU of .5, by pycocotools."""
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image, (truth, found) in enumerate(zip(targets, detections, strict=True), 1):
        for rows, entries in ((truth, annotations), (found, results)):
            assert rows.masks is not None
            for index, label in enumerate(rows.labels.tolist()):
                entry = {"image_id": image, "category_id": label + 1, "segmentation": rows.masks.runs(index, SIZE)}
                area = {"id": len(entries) + 1, "iscrowd": 0, "area": int(rows.masks[[index]].areas[0]), "bbox": [0, 0, 1, 1]}
                entries.append(entry | area)
        for entry, score in zip(results[-len(found) :] if len(found) else [], found.scores.tolist(), strict=True):
            entry["score"] = score
    if not results:
        return 0.0
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        sizes = [{"id": image, "height": SIZE[0], "width": SIZE[1]} for image in (1, 2)]
        coco.dataset = {"images": sizes, "annotations": annotations, "categories": [{"id": label + 1} for label in range(3)]}
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[1])


def train(detector: MaskRCNN, predictor: Predictor, recipe: Recipe) -> float:
    """Train until the masks are memorized, at most as long as the recipe says; return the AP50 of masks."""
    images, targets = images_and_targets()
    optimizer = torch.optim.SGD(detector.parameters(), lr=recipe.lr, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=recipe.steps)
    ap = 0.0
    for step in range(recipe.steps):
        losses = detector.train()(images, targets, seeds=[2 * step, 2 * step + 1])
        assert isinstance(losses, dict)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(detector.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        if step >= recipe.steps // 4 and step % 10 == 0:
            ap = segmentation_ap50(predictor([image.clone() for image in images]), targets)
            if ap > 0.95:
                break
    return ap


def test_masks_of_two_images_are_memorized() -> None:
    torch.manual_seed(0)
    recipe = RECIPES["mask_rcnn"]
    backbone = BackboneConfig(name=recipe.backbone, weights=None, frozen_stages=0)
    config = small_mask_rcnn(MaskRCNNConfig(backbone=backbone, preprocess=PreprocessConfig(short_side=SIZE[0], long_side=SIZE[1])))
    assert isinstance(config, MaskRCNNConfig)
    detector = config.build(3)
    predictor = Predictor(detector, config.preprocess, ("disk", "ring", "triangle"), "cpu", "fp32", reference=True)
    assert train(detector, predictor, Recipe(small_mask_rcnn, lr=recipe.lr, steps=250)) > 0.9
