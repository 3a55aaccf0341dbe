"""D-FINE's losses on edges, and the union of matches, compared with those of the released criterion, frozen in ``fixtures``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

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
from detkit.ops.boxes import cxcywh_to_xyxy, paired_iou

FIXTURES = Path(__file__).parent / "fixtures"
CASES = ("three_layers", "one_layer", "more_objects_than_queries", "no_objects")
FINE_GRAINED_WEIGHT, DISTILLATION_WEIGHT = 0.15, 1.5


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


def test_boxes_of_the_decoder(arrays: dict[str, Tensor]) -> None:
    values = bin_values(arrays["up"], arrays["reg_scale"])
    for prefix in ("", "denoising_")[: 2 if "denoising_groups" in arrays else 1]:
        distances = expected_distances(arrays[prefix + "edge_logits"], values)
        boxes = distances_to_cxcywh(distances, arrays[prefix + "pre_boxes"][:, :, None], arrays["reg_scale"])
        assert_close(boxes, arrays[prefix + "boxes"], atol=1e-5, rtol=1e-5)


def test_union_of_matches(arrays: dict[str, Tensor]) -> None:
    union = unite_assignments(arrays["assignment"])
    assert torch.equal(union, arrays["union_assignment"])
    if len(arrays["labels"]):
        assert not torch.equal(union, arrays["assignment"][..., -3])


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
