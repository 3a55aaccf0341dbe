"""Matches, their union and every loss term of D-FINE and DEIM, compared with those of the released criteria, frozen in ``fixtures``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from detkit.heads.queries.denoising import DenoisingConfig
from detkit.heads.queries.dfine import DFINEHeadConfig
from detkit.heads.queries.distribution import bin_values, distances_to_cxcywh, expected_distances
from detkit.heads.queries.distribution_targets import (
    bin_targets,
    cxcywh_to_distances,
    distillation_losses,
    distillation_weights,
    fine_grained_losses,
    matched_share,
    unite_assignments,
)
from detkit.heads.queries.losses import QueryLossConfig, QueryMatchingConfig
from detkit.heads.queries.matching import MatchedPairs
from detkit.ops.boxes import cxcywh_to_xyxy, paired_iou
from detkit.structures import Batch, Targets

FIXTURES = Path(__file__).parent / "fixtures"
CASES = ("three_layers", "one_layer", "more_objects_than_queries", "no_objects")
FINE_GRAINED_WEIGHT, DISTILLATION_WEIGHT = 0.15, 1.5
CLASS_LOSSES = {
    "dfine": ("loss_vfl", QueryLossConfig(class_loss="varifocal", alpha=0.75, gamma=2.0)),
    "deim": ("loss_mal", QueryLossConfig(class_loss="matchability", alpha=None, gamma=1.5)),
}
EXTENT = torch.tensor([640.0, 480.0, 640.0, 480.0])


@pytest.fixture(scope="module")
def frozen() -> dict[str, Any]:
    """Terms and gradients of each case and criterion."""
    cases: dict[str, Any] = json.loads((FIXTURES / "dfine_losses.json").read_text())["cases"]
    return cases


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def arrays(case: str) -> dict[str, Tensor]:
    """Outputs, objects and matches of a case; layers are the third dimension, as in the heads."""
    with np.load(FIXTURES / "dfine_losses.npz") as file:
        tensors = {name.removeprefix(f"{case}/"): torch.from_numpy(file[name]) for name in file.files if name.startswith(f"{case}/")}
    layered = ("logits", "boxes", "edge_logits", "assignment")
    return {
        name: tensor.movedim(0, 2) if name in layered or name in {f"denoising_{key}" for key in layered[:3]} else tensor
        for name, tensor in tensors.items()
    }


def edge_losses(arrays: dict[str, Tensor], rows: Tensor, count: float, share: Tensor, prefix: str = "") -> tuple[Tensor, Tensor]:
    """Weighted fine-grained and distillation losses ``(L,)`` of all layers, for the objects in ``(B, N)`` rows."""
    boxes, edges, references = (arrays[prefix + name] for name in ("boxes", "edge_logits", "pre_boxes"))
    image, query = (rows >= 0).nonzero(as_tuple=True)
    starts = arrays["object_counts"].cumsum(0) - arrays["object_counts"]
    objects = arrays["object_boxes"][starts[image] + rows[image, query]]
    # The released code treats a negative size as none.
    predicted = torch.cat((boxes[..., :2], boxes[..., 2:].clamp(min=0)), -1)[image, query]
    ious = torch.zeros(boxes.shape[:-1])
    ious[image, query] = paired_iou(cxcywh_to_xyxy(predicted), cxcywh_to_xyxy(objects)[:, None])
    values = bin_values(arrays["up"], arrays["reg_scale"])
    targets = bin_targets(cxcywh_to_distances(objects, references[image, query], arrays["reg_scale"]), values)
    layers = edges.shape[2]
    fine = torch.stack([fine_grained_losses(edges[image, query, k], targets, ious[image, query, k]).sum() for k in range(layers)])
    weights = distillation_weights(arrays[prefix + "logits"][:, :, -1], ious, rows >= 0)
    distilled = distillation_losses(edges, edges[:, :, -1], weights, rows >= 0, share)
    return FINE_GRAINED_WEIGHT * fine / max(1.0, count), DISTILLATION_WEIGHT * distilled


def released(losses: dict[str, float], name: str, layers: int, prefix: str) -> Tensor:
    """Frozen terms of all layers, the last of which has no distillation loss of its own."""
    names = [f"{name}_{prefix}_{layer}" for layer in range(layers)]
    if prefix == "aux":
        names[-1] = name
    return torch.tensor([losses[key] if key in losses or name != "loss_ddf" else 0.0 for key in names])


@pytest.mark.oracle(
    "original code of D-FINE and DEIM",
    "boxes from D-FINE's distributions",
    tolerance="1e-5",
    version="as in libreyolo 1.6.0, outputs frozen",
)
def test_boxes_of_the_decoder(arrays: dict[str, Tensor]) -> None:
    values = bin_values(arrays["up"], arrays["reg_scale"])
    for prefix in ("", "denoising_")[: 2 if "denoising_groups" in arrays else 1]:
        distances = expected_distances(arrays[prefix + "edge_logits"], values)
        boxes = distances_to_cxcywh(distances, arrays[prefix + "pre_boxes"][:, :, None], arrays["reg_scale"])
        assert_close(boxes, arrays[prefix + "boxes"], atol=1e-5, rtol=1e-5)


@pytest.mark.oracle(
    "original code of D-FINE and DEIM", "union of matches over layers", tolerance="equal", version="as in libreyolo 1.6.0, outputs frozen"
)
def test_union_of_matches(arrays: dict[str, Tensor]) -> None:
    union = unite_assignments(arrays["assignment"])
    assert torch.equal(union, arrays["union_assignment"])
    if len(arrays["labels"]):
        assert not torch.equal(union, arrays["assignment"][..., -3])


@pytest.mark.oracle(
    "original code of D-FINE and DEIM",
    "fine-grained localization and distillation losses, and their gradients",
    tolerance="2e-5 relative, gradients 1e-4",
    version="as in libreyolo 1.6.0, outputs frozen",
)
@pytest.mark.parametrize("criterion", ["dfine", "deim"])
def test_edge_losses_and_their_gradients(case: str, criterion: str, arrays: dict[str, Tensor], frozen: dict[str, Any]) -> None:
    losses, gradients = frozen[case][criterion]["losses"], frozen[case][criterion]["gradients"]
    union = unite_assignments(arrays["assignment"])
    share = matched_share(union >= 0)
    parts = [("", "aux", union, float((union >= 0).sum()))]
    if "denoising_groups" in arrays:
        count = len(arrays["labels"]) * float(arrays["denoising_groups"])
        parts.append(("denoising_", "dn", arrays["denoising_assignment"], count))
    for prefix, suffix, rows, count in parts:
        edges = arrays[f"{prefix}edge_logits"].clone().requires_grad_()
        fine, distilled = edge_losses(arrays | {f"{prefix}edge_logits": edges}, rows, count, share, prefix)
        for ours, name in ((fine, "loss_fgl"), (distilled, "loss_ddf")):
            assert_close(ours.detach(), released(losses, name, edges.shape[2], suffix), rtol=2e-5, atol=1e-6)
        (gradient,) = torch.autograd.grad((fine + distilled).sum(), edges)
        norms = torch.tensor(gradients[f"{prefix}edge_logits"])
        assert_close(gradient.movedim(2, 0).flatten(1).norm(dim=1), norms, rtol=1e-4, atol=1e-6)


def targets_of(arrays: dict[str, Tensor]) -> list[Targets]:
    counts = arrays["object_counts"].tolist()
    corners = cxcywh_to_xyxy(arrays["object_boxes"] * EXTENT)
    return [Targets.of(boxes, labels) for boxes, labels in zip(corners.split(counts), arrays["labels"].split(counts), strict=True)]


def stages_of(arrays: dict[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """Logits and boxes of the layers, of the state before refinement and of the encoder, ready for gradients."""
    names = [prefix + name for name in ("logits", "boxes", "pre_logits", "pre_boxes")]
    names += [] if prefix else ["encoder_logits", "encoder_boxes"]
    return {name: arrays[name].clone().requires_grad_() for name in names}


def stacked(stages: dict[str, Tensor], kind: str) -> Tensor:
    """``(B, N, S, ...)`` of all stages."""
    parts = [value if value.ndim == 4 else value[:, :, None] for name, value in stages.items() if name.endswith(kind)]
    return torch.cat(parts, 2)


@pytest.mark.oracle(
    "original code of D-FINE and DEIM",
    "matching of queries and objects",
    tolerance="equal",
    version="as in libreyolo 1.6.0, outputs frozen",
)
def test_matches(arrays: dict[str, Tensor]) -> None:
    stages, targets = stages_of(arrays), targets_of(arrays)
    logits, boxes = stacked(stages, "logits"), stacked(stages, "boxes") * EXTENT
    assignment = QueryMatchingConfig().match(logits, boxes, targets, EXTENT.expand(len(targets), 4))
    assert torch.equal(assignment, arrays["assignment"])


@pytest.mark.oracle(
    "original code of D-FINE and DEIM",
    "class and box losses of every layer, and their gradients",
    tolerance="1e-5 relative, gradients 1e-4",
    version="as in libreyolo 1.6.0, outputs frozen",
)
@pytest.mark.parametrize("criterion", ["dfine", "deim"])
@pytest.mark.parametrize("prefix", ["", "denoising_"])
def test_class_and_box_losses_and_their_gradients(
    case: str, criterion: str, prefix: str, arrays: dict[str, Tensor], frozen: dict[str, Any]
) -> None:
    if prefix and "denoising_groups" not in arrays:
        assert not any("_dn_" in name for name in frozen[case][criterion]["losses"])
        return
    name, config = CLASS_LOSSES[criterion]
    stages, targets = stages_of(arrays, prefix), targets_of(arrays)
    logits, boxes = stacked(stages, "logits"), stacked(stages, "boxes") * EXTENT
    matches = arrays["denoising_assignment"] if prefix else arrays["union_assignment"]
    matches = matches[..., None].expand(*logits.shape[:3])
    groups = float(arrays["denoising_groups"]) if prefix else 1.0
    objects = max(1, len(arrays["labels"])) * groups
    class_losses = config.class_losses(logits, boxes, matches if prefix else arrays["assignment"], targets) / objects
    box_losses, giou_losses = config.box_losses(boxes, MatchedPairs.of(matches, targets), EXTENT.expand(len(targets), 4))
    count = objects if prefix else max(1.0, float((arrays["union_assignment"] >= 0).sum()))
    layers = arrays[f"{prefix}logits"].shape[2]
    suffixes = (
        [f"_dn_{k}" for k in range(layers)] + ["_dn_pre"] if prefix else [*(f"_aux_{k}" for k in range(layers - 1)), "", "_pre", "_enc_0"]
    )
    total = torch.zeros(())
    for losses, term in ((class_losses, name), (box_losses / count, "loss_bbox"), (giou_losses / count, "loss_giou")):
        expected = torch.tensor([frozen[case][criterion]["losses"][term + suffix] for suffix in suffixes])
        assert_close(losses.detach(), expected, rtol=1e-5, atol=1e-6)
        total = total + losses.sum()
    for (key, value), gradient in zip(stages.items(), torch.autograd.grad(total, list(stages.values())), strict=True):
        norms = gradient.movedim(2, 0).flatten(1).norm(dim=1) if value.ndim == 4 else gradient.norm()
        assert_close(norms, torch.tensor(frozen[case][criterion]["gradients"][key]), rtol=1e-4, atol=1e-6)


@pytest.mark.oracle(
    "original code of D-FINE and DEIM", "sum of all loss terms", tolerance="2e-5 relative", version="as in libreyolo 1.6.0, outputs frozen"
)
@pytest.mark.parametrize("criterion", ["dfine", "deim"])
def test_losses_of_the_head(case: str, criterion: str, arrays: dict[str, Tensor], frozen: dict[str, Any]) -> None:
    """The head computes the sum of all terms of the released code."""
    layers = arrays["logits"].shape[2]
    size = {"channels": 8, "attention_heads": 1, "hidden": 8, "points": (1,), "layers": layers}
    copies = DenoisingConfig(queries=100 if "denoising_groups" in arrays else 0)
    config = DFINEHeadConfig(**size, reg_scale=float(arrays["reg_scale"]), losses=CLASS_LOSSES[criterion][1], denoising=copies)
    head = config.build((8,), (16,), arrays["logits"].shape[-1])
    parts = ["encoder", "pre"]
    logits, boxes = (
        torch.cat([*(arrays[f"{part}_{kind}"][:, :, None] for part in parts), arrays[kind]], 2) for kind in ("logits", "boxes")
    )
    outputs = [logits, boxes * EXTENT, *(arrays["logits"][:, :0],) * 2, arrays["union_assignment"][:, :0]]
    outputs += [arrays["edge_logits"], arrays["edge_logits"][:, :0]]
    if copies.queries:
        for index, kind in ((2, "logits"), (3, "boxes")):
            outputs[index] = torch.cat((arrays[f"denoising_pre_{kind}"][:, :, None], arrays[f"denoising_{kind}"]), 2)
        outputs[3] = outputs[3] * EXTENT
        outputs[4], outputs[6] = arrays["denoising_assignment"], arrays["denoising_edge_logits"]
    batch = Batch(torch.zeros(len(logits), 3, 480, 640), ((480, 640),) * len(logits))
    losses = head.loss(tuple(outputs), [], batch, targets_of(arrays))
    released_losses = frozen[case][criterion]["losses"]
    groups = {
        "fine_grained": "loss_fgl",
        "distillation": "loss_ddf",
        "class": CLASS_LOSSES[criterion][0],
        "box": "loss_bbox",
        "giou": "loss_giou",
    }
    for name, value in losses.items():
        kind = next(kind for kind in groups if name.endswith(kind))
        names = [key for key in released_losses if key.startswith(groups[kind]) and ("_dn_" in key) == name.startswith("denoising_")]
        if name in {"class", "box", "giou"}:
            names = [groups[kind]]
        elif name.startswith(("auxiliary_", "encoder_")):
            names = [key for key in names if key != groups[kind] and ("_enc_" in key) == name.startswith("encoder_")]
        expected = sum(released_losses[key] for key in names)
        assert float(value.detach()) == pytest.approx(expected, rel=2e-5, abs=1e-5), name
    assert float(sum(losses.values())) == pytest.approx(sum(released_losses.values()), rel=1e-5)
