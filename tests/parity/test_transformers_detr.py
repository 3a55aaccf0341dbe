"""Our DETR against that of ``transformers``, with the same weights on the same padded batch, through files as they were released."""

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
from detkit.heads.detr import DETRHeadConfig
from detkit.models.detr import DETR, DETRConfig
from detkit.models.published import load_published
from detkit.models.published.detr import CLASS_NAMES, convert
from detkit.models.published.load import fill
from detkit.ops.boxes import xyxy_to_cxcywh
from detkit.structures import Targets

pytest.importorskip("transformers", reason="a dependency of this test alone: pip install detkit[test]")

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
    """The other library's model, conditioned, ours with its weights, and what both look at."""

    theirs: torch.nn.Module
    ours: DETR
    photographs: list[Tensor]


@pytest.fixture(scope="module", params=CASES)
def pair(request: pytest.FixtureRequest, photographs: list[Tensor], tmp_path_factory: pytest.TempPathFactory) -> Pair:
    torch.manual_seed(0)
    if request.param == "small":
        theirs = reference(SMALL.head, "resnet18", dilated=False)
        condition(theirs, "resnet18", photographs[:4])
        ours = SMALL.build(len(CLASS_NAMES)).eval()
        fill(ours, convert(as_released(theirs.state_dict())), "transformers")
        ours.report_only(CLASS_NAMES)
    else:
        theirs = reference(DETRHeadConfig(), *RELEASED[request.param])
        condition(theirs, RELEASED[request.param][0], photographs[:4])
        file = tmp_path_factory.mktemp("published") / "detr.pth"
        torch.save({"model": as_released(theirs.state_dict())}, file)
        ours = load_published(request.param, file).detector
        file.unlink()
    assert isinstance(ours, DETR)
    return Pair(theirs, ours, photographs[:4])


def reference(head: DETRHeadConfig, backbone: str, dilated: bool) -> torch.nn.Module:
    from transformers import DetrConfig, DetrForObjectDetection

    config = DetrConfig(
        num_labels=len(CLASS_NAMES),
        backbone=backbone,
        dilation=dilated,
        num_queries=head.queries,
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
def condition(theirs: torch.nn.Module, backbone: str, photographs: list[Tensor]) -> None:
    """Norms take the statistics of the photographs; queries differ from one another; classes and boxes are spread out."""
    classifier = models.get_model(backbone).eval()
    fit_norms(classifier, lambda: [classifier(photograph[None]) for photograph in photographs])
    body = theirs.model.backbone.model
    body.load_state_dict({name: tensor for name, tensor in classifier.state_dict().items() if name in body.state_dict()})
    for part in (theirs.model.encoder, theirs.model.decoder):
        for parameter in part.parameters():
            if parameter.ndim > 1:
                torch.nn.init.xavier_uniform_(parameter)
    # Queries that differ less, or look less sharply, would all say the same.
    theirs.model.query_position_embeddings.weight.normal_(std=3.0)
    for name, parameter in theirs.model.decoder.named_parameters():
        if name.endswith("q_proj.weight"):
            parameter.mul_(3.0)
    torch.nn.init.xavier_uniform_(theirs.model.input_projection.weight)
    boxes = theirs.bbox_predictor.layers
    for layer in boxes[:-1]:
        torch.nn.init.xavier_uniform_(layer.weight)
    spread_all({theirs.class_labels_classifier: 3.0, boxes[-1]: 1.0}, lambda: theirs(*inputs(photographs)))
    unnamed = [place for place, name in enumerate(CLASS_NAMES) if name is None]
    theirs.class_labels_classifier.bias[unnamed] -= 30.0


def inputs(photographs: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Photographs normalized and padded to the largest, and the mask of what is not padding, by plain loops."""
    height, width = (max(photograph.shape[axis] for photograph in photographs) for axis in (1, 2))
    pixels, mask = torch.zeros(len(photographs), 3, height, width), torch.zeros(len(photographs), height, width, dtype=torch.int64)
    mean, std = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    for place, photograph in enumerate(photographs):
        pixels[place, :, : photograph.shape[1], : photograph.shape[2]] = (photograph - mean) / std
        mask[place, : photograph.shape[1], : photograph.shape[2]] = 1
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
    """The other library's names and layouts as those of ``detr-r50-e632da11.pth``."""
    released: dict[str, Tensor] = {}
    for old_name, tensor in state.items():
        name = old_name
        for old, new in RENAMED:
            name = name.replace(old, new)
        name = name.replace(".final_layer_norm.", ".norm2." if ".encoder." in name else ".norm3.")
        # Queries', keys' and values' tensors lie apart there, and in one tensor in the file.
        if ".q_proj." in name:
            tensor = torch.cat([state[old_name.replace("q_proj", f"{part}_proj")] for part in "qkv"])
            name = re.sub(r"q_proj\.(\w+)", r"in_proj_\1", name)
        if ".k_proj." not in name and ".v_proj." not in name:
            released[name] = tensor
    return released


@torch.no_grad()
def test_the_same_logits_and_boxes_on_a_padded_batch(pair: Pair) -> None:
    expected = pair.theirs(*inputs(pair.photographs))
    logits, boxes, _ = pair.ours.raw(pair.ours.prepare(pair.photographs))
    assert float(expected.logits.std()) > 1
    assert_close(logits[:, :, -1], expected.logits, atol=1e-3, rtol=1e-4)
    extents = torch.tensor([[photograph.shape[2], photograph.shape[1]] * 2 for photograph in pair.photographs])
    assert_close(boxes[:, :, -1], expected.pred_boxes * extents[:, None], atol=1e-3, rtol=0)


@torch.no_grad()
def test_the_same_detections(pair: Pair) -> None:
    found = pair.theirs(*inputs(pair.photographs))
    expected = []
    for photograph, logits, boxes in zip(pair.photographs, found.logits, found.pred_boxes, strict=True):
        scores, labels = logits.softmax(-1)[:, :-1].max(-1)
        order = scores.argsort(descending=True)
        height, width = photograph.shape[1:]
        (x, y), (w, h) = boxes[:, :2].T, boxes[:, 2:].T
        corners = torch.stack((x - w / 2, y - h / 2, x + w / 2, y + h / 2), 1) * torch.tensor([width, height, width, height])
        corners = torch.minimum(corners.clamp(min=0), torch.tensor([width, height, width, height]))
        expected.append({"boxes": corners[order], "scores": scores[order], "labels": labels[order]})
    assert_conditioned(expected)
    assert_same_detections(pair.ours(pair.photographs), expected, nms_iou=2.0)


@torch.no_grad()
def test_the_same_losses_behind_every_layer(pair: Pair) -> None:
    generator = torch.Generator().manual_seed(1)
    targets = []
    for count in (3, 1, 7, 0):
        corners = torch.rand(count, 2, generator=generator) * 80
        boxes = torch.cat((corners, corners + 20 + torch.rand(count, 2, generator=generator) * 60), 1)
        targets.append(Targets.of(boxes, torch.randint(91, (count,), generator=generator)))
    found = pair.ours(pair.photographs, targets)
    expected = their_losses(pair, targets)
    weights = {"class": ("loss_ce", 1.0), "box": ("loss_bbox", 5.0), "giou": ("loss_giou", 2.0)}
    assert set(found) == {*weights, *(f"auxiliary_{name}" for name in weights)}
    for name, (key, weight) in weights.items():
        assert_close(found[name], weight * expected[key], rtol=1e-4, atol=0)
        others = [value for other, value in expected.items() if re.fullmatch(rf"{key}_\d", other)]
        assert len(others) == pair.ours.head.config.decoder_layers - 1
        assert_close(found[f"auxiliary_{name}"], weight * torch.stack(others).sum(), rtol=1e-4, atol=0)


def their_losses(pair: Pair, targets: list[Targets]) -> dict[str, Tensor]:
    """Their loss of what every decoder layer holds.

    Their own auxiliary path feeds the normed output of a layer to the next one, which neither the paper nor the released code does; so
    their layers run as in detection, and their loss is handed what they held.
    """
    model = pair.theirs
    found = model(*inputs(pair.photographs), output_hidden_states=True)
    held = torch.stack([model.model.decoder.layernorm(state) for state in found.decoder_hidden_states[1:]])
    labels = []
    for photograph, target in zip(pair.photographs, targets, strict=True):
        extent = torch.tensor([photograph.shape[2], photograph.shape[1]] * 2)
        labels.append({"class_labels": target.labels, "boxes": xyxy_to_cxcywh(target.boxes) / extent})
    model.config.auxiliary_loss = True
    try:
        logits, boxes = model.class_labels_classifier(held), model.bbox_predictor(held).sigmoid()
        _, losses, _ = model.loss_function(found.logits, labels, "cpu", found.pred_boxes, model.config, logits, boxes)
    finally:
        model.config.auxiliary_loss = False
    return {name: torch.as_tensor(value) for name, value in losses.items()}
