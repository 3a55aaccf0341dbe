"""DETR compared with that of ``transformers`` on the same weights and padded batch, through files in the released format."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
import torch
from conditioning import assert_conditioned, assert_same_detections, fit_norms, spread_all
from torch import Tensor
from torch.testing import assert_close
from torchvision import models

from detkit.backbones import BackboneConfig
from detkit.heads.queries.detr import DETRHeadConfig
from detkit.models.detr import DETR, DETRConfig
from detkit.models.loading.checkpoints import load_tensors
from detkit.models.published import load_published
from detkit.models.published.detr import CLASS_NAMES, convert
from detkit.ops.boxes import xyxy_to_cxcywh
from detkit.structures import Targets

pytestmark = pytest.mark.slow  # a network of the published size

pytest.importorskip("transformers", reason="a dependency of this test only: pip install detkit-vision[test]")

SMALL = DETRConfig(
    backbone=BackboneConfig(name="resnet18", weights=None, norm="frozen"),
    head=DETRHeadConfig(num_queries=60, channels=64, attention_heads=4, encoder_layers=2, decoder_layers=3, hidden=128),
)
RELEASED = {
    "detr_r50": ("resnet50", False),
    "detr_r50_dc5": ("resnet50", True),
    "detr_r101_dc5": ("resnet101", True),
}
CASES = ["small", *(pytest.param(name, marks=pytest.mark.slow) for name in RELEASED)]


@dataclass
class Pair:
    """The conditioned model of transformers, detkit's model with the same weights, and their input."""

    reference: torch.nn.Module
    detector: DETR
    photographs: list[Tensor]


@pytest.fixture(scope="module", params=CASES)
def pair(request: pytest.FixtureRequest, photographs: list[Tensor], tmp_path_factory: pytest.TempPathFactory) -> Pair:
    torch.manual_seed(0)
    if request.param == "small":
        reference = build_reference(SMALL.head, "resnet18", dilated=False)
        condition(reference, "resnet18", photographs[:4])
        detector = SMALL.build(len(CLASS_NAMES)).eval()
        load_tensors(detector, convert(as_released(reference.state_dict())), "transformers")
        detector.hide_unnamed_classes(CLASS_NAMES)
    else:
        reference = build_reference(DETRHeadConfig(), *RELEASED[request.param])
        condition(reference, RELEASED[request.param][0], photographs[:4])
        file = tmp_path_factory.mktemp("published") / "detr.pth"
        torch.save({"model": as_released(reference.state_dict())}, file)
        detector = load_published(request.param, file).detector
        file.unlink()
    assert isinstance(detector, DETR)
    return Pair(reference, detector, photographs[:4])


def build_reference(head: DETRHeadConfig, backbone: str, dilated: bool) -> torch.nn.Module:
    from transformers import DetrConfig, DetrForObjectDetection

    config = DetrConfig(
        num_labels=len(CLASS_NAMES),
        backbone=backbone,
        dilation=dilated,
        num_queries=head.num_queries,
        d_model=head.channels,
        encoder_layers=head.encoder_layers,
        decoder_layers=head.decoder_layers,
        encoder_attention_heads=head.attention_heads,
        decoder_attention_heads=head.attention_heads,
        encoder_ffn_dim=head.hidden,
        decoder_ffn_dim=head.hidden,
    )
    return DetrForObjectDetection(config).eval()


@torch.no_grad()
def condition(reference: torch.nn.Module, backbone: str, photographs: list[Tensor]) -> None:
    """Fit norms to the photographs, make queries differ from one another, and spread class scores and boxes."""
    classifier = models.get_model(backbone).eval()
    fit_norms(classifier, lambda: [classifier(photograph[None]) for photograph in photographs])
    body = reference.model.backbone.model
    body.load_state_dict({name: tensor for name, tensor in classifier.state_dict().items() if name in body.state_dict()})
    for part in (reference.model.encoder, reference.model.decoder):
        for parameter in part.parameters():
            if parameter.ndim > 1:
                torch.nn.init.xavier_uniform_(parameter)
    # With smaller differences, or with smoother attention, all queries would predict the same.
    reference.model.query_position_embeddings.weight.normal_(std=3.0)
    for name, parameter in reference.model.decoder.named_parameters():
        if name.endswith("q_proj.weight"):
            parameter.mul_(3.0)
    torch.nn.init.xavier_uniform_(reference.model.input_projection.weight)
    boxes = reference.bbox_predictor.layers
    for layer in boxes[:-1]:
        torch.nn.init.xavier_uniform_(layer.weight)
    spread_all({reference.class_labels_classifier: 3.0, boxes[-1]: 1.0}, lambda: reference(*inputs(photographs)))
    unnamed = [index for index, name in enumerate(CLASS_NAMES) if name is None]
    reference.class_labels_classifier.bias[unnamed] -= 30.0


def inputs(photographs: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Photographs normalized and padded to the largest, and the mask of valid pixels, in plain loops."""
    height, width = (max(photograph.shape[axis] for photograph in photographs) for axis in (1, 2))
    pixels, mask = torch.zeros(len(photographs), 3, height, width), torch.zeros(len(photographs), height, width, dtype=torch.int64)
    mean, std = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    for index, photograph in enumerate(photographs):
        pixels[index, :, : photograph.shape[1], : photograph.shape[2]] = (photograph - mean) / std
        mask[index, : photograph.shape[1], : photograph.shape[2]] = 1
    return pixels, mask


RENAMED = (
    ("model.backbone.model.", "backbone.0.body."),
    ("model.input_projection.", "input_proj."),
    ("model.query_position_embeddings.", "query_embed."),
    ("model.decoder.layernorm.", "transformer.decoder.norm."),
    ("model.encoder.", "transformer.encoder."),
    ("model.decoder.", "transformer.decoder."),
    ("class_labels_classifier.", "class_embed."),
    ("bbox_predictor.", "bbox_embed."),
    (".self_attn_layer_norm.", ".norm1."),
    (".encoder_attn_layer_norm.", ".norm2."),
    (".encoder_attn.", ".multihead_attn."),
    (".o_proj.", ".out_proj."),
    (".mlp.fc", ".linear"),
)


def as_released(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert the names and layouts of transformers to those of ``detr-r50-e632da11.pth``."""
    released: dict[str, Tensor] = {}
    for old_name, tensor in state.items():
        name = old_name
        for old, new in RENAMED:
            name = name.replace(old, new)
        name = name.replace(".final_layer_norm.", ".norm2." if ".encoder." in name else ".norm3.")
        # Queries, keys and values are separate tensors in transformers, and one tensor in the file.
        if ".q_proj." in name:
            tensor = torch.cat([state[old_name.replace("q_proj", f"{part}_proj")] for part in "qkv"])
            name = re.sub(r"q_proj\.(\w+)", r"in_proj_\1", name)
        if ".k_proj." not in name and ".v_proj." not in name:
            released[name] = tensor
    return released


@pytest.mark.oracle("transformers", "logits and boxes of DETR on a padded batch", tolerance="1e-3", models="cases")
@torch.no_grad()
def test_logits_and_boxes_are_equal_on_a_padded_batch(pair: Pair) -> None:
    expected = pair.reference(*inputs(pair.photographs))
    logits, boxes, _ = pair.detector.raw(pair.detector.prepare(pair.photographs))
    assert float(expected.logits.std()) > 1
    assert_close(logits[:, :, -1], expected.logits, atol=1e-3, rtol=1e-4)
    extents = torch.tensor([[photograph.shape[2], photograph.shape[1]] * 2 for photograph in pair.photographs])
    assert_close(boxes[:, :, -1], expected.pred_boxes * extents[:, None], atol=1e-3, rtol=0)


@pytest.mark.oracle("transformers", "detections of DETR", tolerance="boxes 1e-3 px, scores 1e-5, same labels")
@torch.no_grad()
def test_detections_are_equal(pair: Pair) -> None:
    outputs = pair.reference(*inputs(pair.photographs))
    expected = []
    for photograph, logits, boxes in zip(pair.photographs, outputs.logits, outputs.pred_boxes, strict=True):
        scores, labels = logits.softmax(-1)[:, :-1].max(-1)
        order = scores.argsort(descending=True)
        height, width = photograph.shape[1:]
        (x, y), (w, h) = boxes[:, :2].T, boxes[:, 2:].T
        corners = torch.stack((x - w / 2, y - h / 2, x + w / 2, y + h / 2), 1) * torch.tensor([width, height, width, height])
        corners = torch.minimum(corners.clamp(min=0), torch.tensor([width, height, width, height]))
        expected.append({"boxes": corners[order], "scores": scores[order], "labels": labels[order]})
    assert_conditioned(expected)
    assert_same_detections(pair.detector(pair.photographs), expected, nms_iou=2.0)


@pytest.mark.oracle("transformers", "losses of every layer of DETR", tolerance="1e-4 relative")
@torch.no_grad()
def test_losses_of_every_layer_are_equal(pair: Pair) -> None:
    generator = torch.Generator().manual_seed(1)
    targets = []
    for count in (3, 1, 7, 0):
        corners = torch.rand(count, 2, generator=generator) * 80
        boxes = torch.cat((corners, corners + 20 + torch.rand(count, 2, generator=generator) * 60), 1)
        targets.append(Targets.of(boxes, torch.randint(91, (count,), generator=generator)))
    losses = pair.detector(pair.photographs, targets)
    expected = reference_losses(pair, targets)
    weights = {"class": ("loss_ce", 1.0), "box": ("loss_bbox", 5.0), "giou": ("loss_giou", 2.0)}
    assert set(losses) == {*weights, *(f"auxiliary_{name}" for name in weights)}
    for name, (key, weight) in weights.items():
        assert_close(losses[name], weight * expected[key], rtol=1e-4, atol=0)
        others = [value for other, value in expected.items() if re.fullmatch(rf"{key}_\d", other)]
        assert len(others) == pair.detector.head.config.decoder_layers - 1
        assert_close(losses[f"auxiliary_{name}"], weight * torch.stack(others).sum(), rtol=1e-4, atol=0)


def reference_losses(pair: Pair, targets: list[Targets]) -> dict[str, Tensor]:
    """The loss of transformers for the output of every decoder layer.

    Their own auxiliary path feeds the normalized output of a layer to the next one, unlike the paper and the released code. So the layers
    run as in detection, and the loss gets the outputs of all layers.
    """
    model = pair.reference
    outputs = model(*inputs(pair.photographs), output_hidden_states=True)
    states = torch.stack([model.model.decoder.layernorm(state) for state in outputs.decoder_hidden_states[1:]])
    labels = []
    for photograph, target in zip(pair.photographs, targets, strict=True):
        extent = torch.tensor([photograph.shape[2], photograph.shape[1]] * 2)
        labels.append({"class_labels": target.labels, "boxes": xyxy_to_cxcywh(target.boxes) / extent})
    model.config.auxiliary_loss = True
    try:
        logits, boxes = model.class_labels_classifier(states), model.bbox_predictor(states).sigmoid()
        _, losses, _ = model.loss_function(outputs.logits, labels, "cpu", outputs.pred_boxes, model.config, logits, boxes)
    finally:
        model.config.auxiliary_loss = False
    return {name: torch.as_tensor(value) for name, value in losses.items()}
