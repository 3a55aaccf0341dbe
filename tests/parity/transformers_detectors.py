"""Conditioned models of ``transformers`` with query selection, and their outputs compared with those of detkit on the same weights."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from conditioning import assert_conditioned, assert_same_detections, fit_norms, freeze, spread_all
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.testing import assert_close

from detkit.inference.predictor import Predictor
from detkit.models.loading.checkpoints import LoadedDetector
from detkit.models.published import load_published, publication
from detkit.preprocess import PreprocessConfig, preprocess
from detkit.structures import Targets

BRANCH = 0.25
"""Factor of the last weights of residual branches."""


@dataclass
class Pair:
    """A conditioned model of transformers, the folder it was saved to, detkit's model loaded from it, and their input.

    Attributes:
        name: Of the published weights.
        reference: In evaluation mode.
        folder: As ``save_pretrained`` writes it.
        loaded: Loaded from the folder.
        images: Photographs of four shapes.
        config: How they are resized.
    """

    name: str
    reference: Any
    folder: Path
    loaded: LoadedDetector
    images: list[NDArray[np.uint8]]
    config: PreprocessConfig

    @property
    def pixels(self) -> Tensor:
        """The resized photographs as one batch."""
        return resized(self.images, self.config)


def make_pair(name: str, reference: Any, images: list[NDArray[np.uint8]], size: tuple[int, int], folder: Path) -> Pair:
    """Condition the reference for images of a size, save it, and load it as the published weights ``name``.

    The number of queries, which no weight depends on, is that of the reference.
    """
    config = PreprocessConfig(rule="fixed", input_size=size, antialias=True)
    condition(reference, resized(images, config))
    if publication(name).config.backbone.norm == "frozen":
        freeze(reference.model.backbone, 1e-5)  # with rounding as in released models, which random weights amplify
    reference.save_pretrained(folder)
    loaded = load_published(name, folder)
    head = loaded.detector.head
    head.num_queries = head.selection.num_queries = reference.config.num_queries
    return Pair(name, reference, folder, loaded, images, config)


def resized(images: Sequence[NDArray[np.uint8]], config: PreprocessConfig) -> Tensor:
    return torch.stack([preprocess(image, config).image for image in images])


def as_bytes(photographs: Sequence[Tensor]) -> list[NDArray[np.uint8]]:
    return [(255 * photograph).round().byte().permute(1, 2, 0).numpy() for photograph in photographs]


@torch.no_grad()
def condition(reference: Any, pixels: Tensor) -> None:
    """Set random weights, fit norms to the images, and spread the scores and boxes of the selection and of every decoder layer."""
    randomize(reference)
    model, decoder = reference.model, reference.model.decoder

    def run() -> object:
        return reference(pixels)

    fit_norms(reference, run)
    spread_all({model.enc_score_head: 0.6, model.enc_bbox_head.layers[-1]: 0.5}, run)
    # D-FINE's edges are distributions over bins, which differ more than the edges themselves.
    boxes = {head.layers[-1]: 0.3 if head.layers[-1].out_features == 4 else 0.7 for head in decoder.bbox_embed}
    if hasattr(decoder, "pre_bbox_head"):
        boxes[decoder.pre_bbox_head.layers[-1]] = 0.3
    with every_layer(reference):
        spread_all({**dict.fromkeys(decoder.class_embed, 0.6), **boxes}, run)
    for head in decoder.class_embed:
        head.bias -= 1.0


@torch.no_grad()
def randomize(reference: nn.Module) -> None:
    """Set weights that let every part matter: norms, gates and sampled locations would otherwise start without effect."""
    for name, module in reference.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.weight.normal_(std=module.weight[0].numel() ** -0.5)
            if module.bias is not None and not name.endswith("sampling_offsets"):
                module.bias.normal_(std=0.1)
        elif isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            module.weight.uniform_(0.7, 1.3)
            module.bias.normal_(std=0.2)
        elif type(module).__name__ == "HGNetV2LearnableAffineBlock":
            module.scale.uniform_(0.8, 1.2)
            module.bias.normal_(std=0.1)
        elif isinstance(module, nn.Embedding):
            module.weight.normal_()
    # Weak residual branches, as in trained networks: random ones at full strength amplify rounding ten times as much.
    for name, module in reference.named_modules():
        if name.endswith(("o_proj", "output_proj", "fc2", "mlp.layers.1", "down_proj")):
            module.weight *= BRANCH
        elif hasattr(module, "shortcut"):
            module.layer[-1].normalization.weight *= BRANCH
        elif "bottlenecks" in name and isinstance(module, nn.BatchNorm2d):
            module.weight *= 0.5


class every_layer:  # a context manager
    """Let the decoder of D-FINE predict classes after every layer, as in training, with nothing else of training."""

    def __init__(self, reference: Any) -> None:
        self.decoder = reference.model.decoder

    def __enter__(self) -> None:
        self.decoder.training = True

    def __exit__(self, *_: object) -> None:
        self.decoder.training = False


@torch.no_grad()
def assert_every_layer_is_equal(pair: Pair) -> None:
    """Compare the logits, and the boxes as fractions of the image, of the selection and of every decoder layer.

    They differ by at most 1e-4. Where random weights amplify rounding more than that, they are as near to the reference in float64 as the
    reference in float32 is.
    """
    pixels, detector = pair.pixels, pair.loaded.detector
    logits, target_boxes = reference_layers(pair.reference, pixels)
    batch = detector.prepare(list(pixels))
    outputs = detector.raw(batch, targets=[Targets.empty()] * len(pixels))
    height, width = pixels.shape[-2:]
    boxes = outputs[1] / torch.tensor([width, height, width, height])
    order = matching_queries(outputs[0][:, :, 0], logits[:, :, 0])
    assert float(logits[:, :, -1].std()) > 0.5
    assert float(target_boxes[:, :, -1].std(1).mean()) > 0.02
    rows = torch.arange(len(pixels))[:, None]
    ours = outputs[0][rows, order], boxes[rows, order]
    largest = [float((own - theirs).abs().max()) for own, theirs in zip(ours, (logits, target_boxes), strict=True)]
    print(f"largest differences: logits {largest[0]:.1e}, boxes {largest[1]:.1e}")
    if max(largest) > 1e-4:
        assert_as_exact(pair.reference, pixels, ours, (logits, target_boxes))
    final = detector.raw(batch)
    assert_close(final[0][:, :, -1], outputs[0][:, :, -1], atol=0, rtol=0)
    assert_close(final[1], outputs[1][:, :, : final[1].shape[2]], atol=0, rtol=0)


def reference_layers(reference: Any, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits and boxes ``(B, N, S, ...)`` of the selection and of every decoder layer."""
    with every_layer(reference):
        expected = reference.model(pixels)
    logits = torch.cat((expected.enc_topk_logits[:, None], expected.intermediate_logits), 1).transpose(1, 2)
    boxes = torch.cat((expected.enc_topk_bboxes[:, None], expected.intermediate_reference_points), 1).transpose(1, 2)
    return logits, boxes


def assert_as_exact(reference: Any, pixels: Tensor, ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> None:
    """Compare both results in float32 with that of the reference in float64."""
    exact = reference_layers(copy.deepcopy(reference).double(), pixels.double())
    # The last selected cells may differ, which changes all queries of an image through their attention: compare the other images.
    nearest = torch.cdist(exact[0][:, :, 0], theirs[0][:, :, 0].double()).min(1)
    images = (nearest.values < 0.01).all(1).nonzero().flatten()[:, None]
    assert len(images)
    for own, their, truth in zip(ours, theirs, exact, strict=True):
        known = truth[images, nearest.indices[images[:, 0]]]
        error, own_error = ((value[images[:, 0]] - known).abs() for value in (their, own))
        print(f"errors in float32: {float(own_error.max()):.1e}, of transformers {float(error.max()):.1e}")
        assert float(own_error.max()) < 2 * float(error.max()) + 1e-6
        assert float(own_error.mean()) < 1.2 * float(error.mean()) + 1e-7


def matching_queries(logits: Tensor, target: Tensor) -> Tensor:
    """Return ``(B, N)`` the row of each target query: nearly equal scores may swap places in the selection."""
    order = torch.cdist(logits, target).argmin(1)
    assert torch.equal(order.sort(1).values, torch.arange(order.shape[1]).expand_as(order))
    return order


@torch.no_grad()
def assert_detections_are_equal(pair: Pair) -> None:
    """Compare detections in pixels of the photographs with those of the processor of transformers.

    It clips no boxes. Boxes of D-FINE whose edges have passed each other stay so there; here their edges meet in the middle.
    """
    from transformers import RTDetrImageProcessor

    outputs = pair.reference(pair.pixels)
    sizes = [image.shape[:2] for image in pair.images]
    expected = RTDetrImageProcessor().post_process_object_detection(outputs, threshold=0.0, target_sizes=sizes)
    for (height, width), rows in zip(sizes, expected, strict=True):
        middle = (rows["boxes"][:, :2] + rows["boxes"][:, 2:]).repeat(1, 2) / 2
        crossed = (rows["boxes"][:, 2:] < rows["boxes"][:, :2]).repeat(1, 2)
        boxes = torch.where(crossed, middle, rows["boxes"])
        rows["boxes"] = torch.minimum(boxes.clamp(min=0), torch.tensor([width, height, width, height]))
    assert_conditioned(expected)
    predictor = Predictor(pair.loaded.detector, pair.config, pair.loaded.class_names, "cpu", reference=True)
    detections = [rows[: len(expected[0]["scores"])] for rows in predictor(pair.images)]
    assert_same_detections(detections, expected, nms_iou=2.0, boxes=0.02, scores=1e-4)


def assert_same_parameters(pair: Pair) -> None:
    """Compare the number of parameters, those of norms included, which some count as buffers."""
    counts = []
    for model in (pair.reference, pair.loaded.detector):
        norms = {name: tensor for name, tensor in model.named_buffers() if name.endswith((".weight", ".bias"))}
        counts.append(sum(tensor.numel() for tensor in (*model.parameters(), *norms.values())))
    assert counts[0] == counts[1]
