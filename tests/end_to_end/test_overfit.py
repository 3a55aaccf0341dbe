"""Every detector memorizes two images, trained from scratch in a plain loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from detkit.config import Config
from detkit.evaluation.coco import evaluate_coco
from detkit.heads.default_boxes import DefaultBoxConfig
from detkit.heads.region.layers import TwoFCConfig
from detkit.models import MODELS
from detkit.models.detector import Detector
from detkit.necks import ExtraLevelConfig, FPNConfig
from detkit.ops.boxes import clip_boxes, xyxy_to_xywh
from detkit.preprocess import PreprocessConfig
from detkit.structures import Detections, Proposals, Targets

COLORS = ((0.9, 0.1, 0.1), (0.1, 0.8, 0.2), (0.2, 0.3, 1.0))
BOXES = (
    ((12.0, 20.0, 60.0, 70.0, 0), (80.0, 10.0, 150.0, 50.0, 1), (70.0, 60.0, 110.0, 120.0, 2)),
    ((20.0, 60.0, 90.0, 110.0, 1), (100.0, 20.0, 140.0, 75.0, 0)),
)


CHECK_EVERY = 10
"""Steps from one evaluation to the next."""


@dataclass(frozen=True)
class Recipe:
    """Changes that make a kind of detector small, its backbone and its training settings.

    Detectors that memorize the images with the smaller network, which takes a third of the time, do so.
    """

    shrink: Callable[[Config], Config] = field(default=lambda config: config)
    backbone: str = "shufflenet_v2_x0_5"
    lr: float = 0.01
    steps: int = 200
    """Most steps, and the length of the schedule; training ends once the images are memorized."""
    adam: bool = False


def small_faster_rcnn(config: Config) -> Config:
    rpn = config.rpn.replace(train_max_proposals=100, max_proposals=100, samples_per_image=64)
    region = config.region.replace(head=TwoFCConfig(hidden=128), samples_per_image=64)
    return config.replace(neck=FPNConfig(out_channels=64), rpn=rpn, region=region)


def small_mask_rcnn(config: Config) -> Config:
    return small_faster_rcnn(config).replace(mask=config.mask.replace(convs=2, width=32))


def small_dense(config: Config) -> Config:
    return config.replace(neck=config.neck.replace(out_channels=64), head=config.head.replace(depth=2))


def small_detr(config: Config) -> Config:
    sizes = {"channels": 64, "attention_heads": 4, "encoder_layers": 1, "decoder_layers": 2, "hidden": 128}
    return config.replace(head=config.head.replace(num_queries=10, dropout=0.0, **sizes))


def small_queries(config: Config) -> Config:
    neck = config.neck.replace(channels=64, attention_heads=4, hidden=128, depth=0.34, expansion=0.5)
    head = config.head.replace(num_queries=20, channels=64, attention_heads=4, hidden=128, layers=2)
    return config.replace(neck=neck, head=head.replace(denoising=head.denoising.replace(queries=20)))


def small_ssd(config: Config) -> Config:
    boxes = DefaultBoxConfig(scales=(0.2, 0.35, 0.6, 0.9), ratios=((2.0,), (2.0, 3.0), (2.0,)), steps=None)
    return config.replace(
        preprocess=PreprocessConfig(rule="fixed", input_size=(128, 160)),
        neck=config.neck.replace(extras=(ExtraLevelConfig(channels=64),), atrous_channels=64),
        head=config.head.replace(default_boxes=boxes),
    )


def small_yolov1(config: Config) -> Config:
    """Use six cells; every object has its center in a different one."""
    return config.replace(
        preprocess=PreprocessConfig(rule="fixed", input_size=(128, 160)),
        neck=config.neck.replace(channels=(64, 64)),
        head=config.head.replace(hidden=(128,), dropout=0.0),
    )


def small_yolox(config: Config) -> Config:
    return config.replace(neck=config.neck.replace(out_channels=64), head=config.head.replace(channels=64))


def small_fast_rcnn(config: Config) -> Config:
    return config.replace(region=config.region.replace(head=TwoFCConfig(hidden=128), samples_per_image=64))


def small_rcnn(config: Config) -> Config:
    """Train the box regression with the rest; the SVMs and boxes are normally fitted by later stages.

    Batch norms would see only sixteen crops at a time, and their running statistics would differ too much from those of a step. Half of
    the samples are positive, because a quarter of sixteen rarely shows the class that has a single object.
    """
    numbers = {"samples_per_image": 16, "positive_fraction": 0.5, "pool_size": 2, "box_regression": True}
    region = config.region.replace(head=TwoFCConfig(hidden=128), fitted=None, **numbers)
    return config.replace(backbone=config.backbone.replace(norm="group"), region=region, warp_size=64, context_pixels=5)


def small_clip_rcnn(config: Config) -> Config:
    return config.replace(region=config.region.replace(samples_per_image=16), warp_size=64, context_pixels=5)


def small_sppnet(config: Config) -> Config:
    region = config.region.replace(head=TwoFCConfig(hidden=128), samples_per_image=64, box_regression=True, fitted=None)
    return config.replace(backbone=config.backbone.replace(frozen_stages=0), region=region)


RECIPES = {
    "clip_rcnn": Recipe(small_clip_rcnn, "resnet18", steps=120),
    "detr": Recipe(small_detr, lr=1e-3, steps=100, adam=True),
    "dfine": Recipe(small_queries, lr=2e-3, steps=200, adam=True),
    "fast_rcnn": Recipe(small_fast_rcnn, steps=120),
    "faster_rcnn": Recipe(small_faster_rcnn, lr=0.02, steps=150),
    "fcos": Recipe(small_dense, steps=100),
    "mask_rcnn": Recipe(small_mask_rcnn, lr=0.02, steps=150),
    "rcnn": Recipe(small_rcnn, steps=80),
    "rtdetr": Recipe(small_queries, lr=2e-3, steps=130, adam=True),
    "sppnet": Recipe(small_sppnet, steps=120),
    "ssd": Recipe(small_ssd),
    "yolov1": Recipe(small_yolov1, "resnet18", lr=0.01, steps=250),
    "retinanet": Recipe(small_dense, "resnet18", steps=100),
    "yolox": Recipe(small_yolox, "resnet18"),
}


def toy_images() -> tuple[list[Tensor], list[Targets]]:
    generator = torch.Generator().manual_seed(0)
    images, targets = [], []
    for rows in BOXES:
        image = 0.4 + 0.1 * torch.rand(3, 128, 160, generator=generator)
        for x1, y1, x2, y2, label in rows:
            image[:, int(y1) : int(y2), int(x1) : int(x2)] = torch.tensor(COLORS[label])[:, None, None]
        images.append(image)
        targets.append(Targets.of(torch.tensor([row[:4] for row in rows]), torch.tensor([row[4] for row in rows])))
    return images, targets


def proposals_for(detector: Detector, targets: list[Targets]) -> dict[str, list[Proposals]]:
    """Return proposals for detectors that take them: random ones, and some near each object."""
    if not detector.takes_proposals:
        return {}
    generator = torch.Generator().manual_seed(1)
    proposals = []
    for truth in targets:
        corners = torch.rand(2, 60, 2, generator=generator).sort(0).values * torch.tensor([160.0, 128.0])
        near = truth.boxes.repeat(5, 1) + 8 * torch.rand(5 * len(truth), 4, generator=generator) - 4
        boxes = clip_boxes(torch.cat((corners.transpose(0, 1).flatten(1), near)), (128, 160))
        proposals.append(Proposals(boxes, torch.ones(len(boxes))))
    return {"proposals": proposals}


def train(detector: Detector, images: list[Tensor], targets: list[Targets], recipe: Recipe) -> None:
    """Train until the images are memorized, at most as long as the recipe says."""
    optimizer: torch.optim.Optimizer = torch.optim.SGD(detector.parameters(), lr=recipe.lr, momentum=0.9, weight_decay=1e-4)
    if recipe.adam:
        optimizer = torch.optim.AdamW(detector.parameters(), lr=recipe.lr, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=recipe.steps)
    detector.train()
    for step in range(recipe.steps):
        loss = sum(detector(images, targets, seeds=[2 * step, 2 * step + 1], **proposals_for(detector, targets)).values())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(detector.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        if step >= recipe.steps // 4 and step % CHECK_EVERY == 0 and is_memorized(detector, images, targets):
            return


def is_memorized(detector: Detector, images: list[Tensor], targets: list[Targets]) -> bool:
    """Return whether the detections are the objects, AP50 above 0.95; the detector remains in training mode."""
    with torch.no_grad():
        detections = detector.eval()(images, **proposals_for(detector, targets))
    detector.train()
    return average_precision_50(detections, targets) > 0.95


def average_precision_50(detections: list[Detections], targets: list[Targets]) -> float:
    annotations, results = [], []
    for image, (truth, rows) in enumerate(zip(targets, detections, strict=True), 1):
        for box, label in zip(xyxy_to_xywh(truth.boxes).tolist(), truth.labels.tolist(), strict=True):
            row = {"image_id": image, "category_id": label + 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            annotations.append({"id": len(annotations) + 1, **row})
        for box, label, score in zip(xyxy_to_xywh(rows.boxes).tolist(), rows.labels.tolist(), rows.scores.tolist(), strict=True):
            results.append({"image_id": image, "category_id": label + 1, "bbox": box, "score": score})
    images = [{"id": image, "height": 128, "width": 160} for image in (1, 2)]
    categories = [{"id": label + 1, "name": str(label)} for label in range(3)]
    return evaluate_coco({"images": images, "annotations": annotations, "categories": categories}, results)["AP50"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in MODELS.names() if kind not in {"classifier", "clip", "fcn", "unet"}])
def test_two_images_are_memorized(kind: str) -> None:
    torch.manual_seed(0)
    recipe = RECIPES.get(kind, Recipe(backbone="resnet18"))
    config = MODELS.get(kind)()
    config = config.replace(backbone=config.backbone.replace(name=recipe.backbone, weights=None))
    if config.preprocess.rule == "short_side":  # small objects on small images, not enlarged to 800 pixels
        config = config.replace(preprocess=config.preprocess.replace(short_side=192, long_side=320))
    detector = recipe.shrink(config).build(len(COLORS))
    images, targets = toy_images()
    train(detector, images, targets, recipe)
    assert is_memorized(detector, images, targets)
