"""Losses of RT-DETR and the matchability-aware loss, term by term, against transformers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from detkit.heads.queries.losses import QueryLossConfig
from detkit.heads.queries.rtdetr import RTDETRHeadConfig
from detkit.ops.boxes import cxcywh_to_xyxy
from detkit.structures import Batch, Targets

transformers = pytest.importorskip("transformers")

SIZE, CLASSES, QUERIES, STAGES, GROUPS = (64, 96), 5, 20, 4, 3
COUNTS = (4, 0, 7)
EXTENT = torch.tensor([96.0, 64.0, 96.0, 64.0])


def make(generator: torch.Generator, *shape: int) -> Tensor:
    centers, sizes = torch.rand(*shape, 2, generator=generator) * 0.5 + 0.25, torch.rand(*shape, 2, generator=generator) * 0.4 + 0.05
    return torch.cat((centers, sizes), -1)


def case() -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
    """Targets as transformers has them, and predictions of all stages."""
    generator = torch.Generator().manual_seed(5)
    targets = [
        {"class_labels": torch.randint(0, CLASSES, (count,), generator=generator), "boxes": make(generator, count)} for count in COUNTS
    ]
    copies = GROUPS * 2 * max(COUNTS)
    predictions = {
        "logits": torch.randn(3, QUERIES, STAGES, CLASSES, generator=generator),
        "boxes": make(generator, 3, QUERIES, STAGES),
        "copied_logits": torch.randn(3, copies, STAGES - 1, CLASSES, generator=generator),
        "copied_boxes": make(generator, 3, copies, STAGES - 1),
    }
    return targets, predictions


def their_outputs(targets: list[dict[str, Tensor]], predictions: dict[str, Tensor]) -> dict[str, Any]:
    def layers(prefix: str, order: list[int]) -> list[dict[str, Tensor]]:
        logits, boxes = predictions[f"{prefix}logits"], predictions[f"{prefix}boxes"]
        return [{"logits": logits[:, :, stage], "pred_boxes": boxes[:, :, stage]} for stage in order]

    positive = [torch.cat([torch.arange(count) + group * 2 * max(COUNTS) for group in range(GROUPS)]) for count in COUNTS]
    return {
        **layers("", [STAGES - 1])[0],
        "auxiliary_outputs": layers("", [*range(1, STAGES - 1), 0]),
        "dn_auxiliary_outputs": layers("copied_", list(range(STAGES - 1))),
        "denoising_meta_values": {"dn_positive_idx": positive, "dn_num_group": GROUPS},
    }


@pytest.mark.oracle("transformers", "losses of RT-DETR, with denoising", tolerance="1e-4 relative")
def test_rtdetr_losses() -> None:
    from transformers.loss.loss_rt_detr import RTDetrLoss

    targets, predictions = case()
    config = transformers.RTDetrConfig(num_labels=CLASSES)
    theirs = RTDetrLoss(config)(their_outputs(targets, predictions), targets)

    head = RTDETRHeadConfig(channels=16, attention_heads=2, layers=STAGES - 1, hidden=8, points=(1,)).build((8,), (16,), CLASSES)
    ours_targets = [Targets.of(cxcywh_to_xyxy(t["boxes"]) * EXTENT, t["class_labels"]) for t in targets]
    copied = torch.full((3, GROUPS, 2, max(COUNTS)), -1)
    for image, count in enumerate(COUNTS):
        copied[image, :, 0, :count] = torch.arange(count)
    outputs = (
        predictions["logits"],
        predictions["boxes"] * EXTENT,
        predictions["copied_logits"],
        predictions["copied_boxes"] * EXTENT,
        copied.flatten(1),
    )
    terms = head.loss_terms(outputs, Batch(torch.zeros(3, 3, *SIZE), (SIZE,) * 3), ours_targets)
    names = {"class": "loss_vfl", "box": "loss_bbox", "giou": "loss_giou"}
    for name, their_name in names.items():
        order = [*(f"_aux_{stage}" for stage in range(STAGES - 2)), ""]
        expected = torch.stack([theirs[f"{their_name}_aux_{STAGES - 2}"], *(theirs[their_name + suffix] for suffix in order)])
        assert_close(terms[name], expected, rtol=1e-4, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")
        denoising = torch.stack([theirs[f"{their_name}_dn_{stage}"] for stage in range(STAGES - 1)])
        assert_close(terms[f"denoising_{name}"], denoising, rtol=1e-4, atol=1e-6)


@pytest.mark.oracle("transformers", "matchability-aware loss of DEIM", tolerance="1e-4 relative")
def test_matchability_aware_loss() -> None:
    from transformers.loss.loss_deimv2 import Deimv2Loss

    targets, predictions = case()
    criterion = Deimv2Loss(transformers.Deimv2Config(num_labels=CLASSES))
    logits, boxes = predictions["logits"][:, :, -1], predictions["boxes"][:, :, -1]
    indices = criterion.matcher({"logits": logits, "pred_boxes": boxes}, targets)
    theirs = criterion.loss_labels_mal({"logits": logits, "pred_boxes": boxes}, targets, indices, 1.0)["loss_mal"]

    assignment = torch.full((3, QUERIES, 1), -1)
    for image, (queries, rows) in enumerate(indices):
        assignment[image, queries, 0] = rows
    loss = QueryLossConfig(class_loss="matchability", alpha=criterion.mal_alpha, gamma=criterion.gamma)
    ours_targets = [Targets.of(cxcywh_to_xyxy(t["boxes"]) * EXTENT, t["class_labels"]) for t in targets]
    ours = loss.class_losses(logits[:, :, None], boxes[:, :, None] * EXTENT, assignment, ours_targets)
    assert_close(ours[0], theirs, rtol=1e-4, atol=0)


@pytest.mark.oracle("transformers", "focal loss of query detectors", tolerance="1e-4 relative")
def test_focal_loss() -> None:
    from transformers.loss.loss_for_object_detection import sigmoid_focal_loss

    _, predictions = case()
    logits, assignment = predictions["logits"][:1], torch.full((1, QUERIES, STAGES), -1)
    assignment[0, 3, :], assignment[0, 8, 2] = 0, 1
    target = Targets.of(torch.tensor([[0.0, 0.0, 9.0, 9.0], [5.0, 5.0, 20.0, 30.0]]), torch.tensor([2, 4]))
    one_hot = torch.zeros(1, QUERIES, STAGES, CLASSES)
    one_hot[0, 3, :, 2], one_hot[0, 8, 2, 4] = 1, 1
    theirs = torch.stack([sigmoid_focal_loss(logits[:, :, s], one_hot[:, :, s], 1.0, alpha=0.25, gamma=2.0) for s in range(STAGES)])
    loss = QueryLossConfig(class_loss="focal", alpha=0.25, gamma=2.0)
    assert_close(loss.class_losses(logits, predictions["boxes"][:1] * EXTENT, assignment, [target]), theirs * QUERIES, rtol=1e-4, atol=0)
