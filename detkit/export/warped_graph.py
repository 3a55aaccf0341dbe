"""The network of an exported R-CNN: regions are warped and passed through the network a few at a time, in a loop."""

from __future__ import annotations

import io
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from detkit.export.loop import insert_loop
from detkit.export.region_graph import FastRCNNDetections
from detkit.export.resampling import average_pooled
from detkit.models.rcnn import RCNN
from detkit.ops.warp import add_context, warp_regions

PLACEHOLDER = "detkit::RegionFeatures"
"""Operator that stands for the loop while the rest is traced."""


class RCNNDetections(FastRCNNDetections):
    """R-CNN: given proposals are warped, and their features classified.

    The network runs on ``chunk_size`` regions at a time, as thousands of them at once would take tens of gigabytes.

    Args:
        detector: The detector; not modified.
        fold: Whether batch norms are folded into the convolutions.
    """

    def __init__(self, detector: RCNN, *, fold: bool = True) -> None:
        super().__init__(detector, fold=fold)
        self.step = RegionStep(self.detector)

    def regions(self, images: Tensor, boxes: Tensor) -> Tensor:
        """See :meth:`FastRCNNDetections.regions`."""
        size, count = self.detector.config.chunk_size, boxes.shape[1]
        padded = functional.pad(boxes, (0, 0, 0, size - 1))[:, : (count + size - 1) // size * size]
        features: Tensor = _Loop.apply(images, padded.reshape(-1, size, 4), self.step)  # type: ignore[no-untyped-call]
        regions = features.reshape(boxes.shape[0], -1, *self.step.shape)
        return regions[:, :count].flatten(0, 1)

    def complete(self, model: Any, opset: int) -> None:
        """See :meth:`Graph.complete`."""
        size = self.detector.config.chunk_size
        images = torch.zeros((2, 3, 48, 64))
        boxes = torch.tensor([4.0, 4.0, 44.0, 40.0]).repeat(4, size, 1)
        insert_loop(model, PLACEHOLDER, _traced(self.step, (images, boxes, torch.tensor(1)), opset))


class RegionStep(nn.Module):
    """One step of the loop: the features of one chunk of regions.

    Args:
        detector: The R-CNN.
    """

    def __init__(self, detector: RCNN) -> None:
        super().__init__()
        self.neck, self.config = detector.neck, detector.config
        neck: Any = detector.neck
        channels, side = detector.region.config.pooled_shape(neck.channels[0])
        self.shape = (channels, side, side)

    def forward(self, images: Tensor, boxes: Tensor, step: Tensor) -> Tensor:
        """Return ``(chunk, C, S, S)``.

        Args:
            images: ``(B, 3, H, W)`` normalized.
            boxes: ``(B * n, chunk, 4)``: n chunks of boxes of each image.
            step: Number of the chunk.
        """
        size = self.config.warp_size
        rows = add_context(boxes[step], size, self.config.context_pixels)
        crops = warp_regions(images[step // (boxes.shape[0] // images.shape[0])], rows, size)
        maps: Tensor = self.neck(crops)[0]
        cells = (self.shape[1], self.shape[2])
        return maps if maps.shape[-2:] == cells else average_pooled(maps, cells)


class _Loop(torch.autograd.Function):
    """All steps one after the other, ``(steps * chunk, C, S, S)``; traced as one operator, as the exporter cannot trace loops."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, boxes: Tensor, step: RegionStep) -> Tensor:
        if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            return images.new_zeros((*boxes.shape[:2], *step.shape))
        return torch.stack([step(images, boxes, index) for index in torch.arange(len(boxes))])

    @staticmethod
    def symbolic(g: Any, images: Any, boxes: Any, step: RegionStep) -> Any:
        steps = g.op("Gather", g.op("Shape", boxes), g.op("Constant", value_t=torch.tensor(0)))
        features = g.op(PLACEHOLDER, steps, images, boxes)
        features.setType(images.type().with_sizes([None, None, *step.shape]))
        return features


def _traced(module: nn.Module, inputs: tuple[Tensor, ...], opset: int) -> Any:
    """Return a module as an ONNX graph, in which the size of images and the number of chunks stay free."""
    import onnx

    file, names = io.BytesIO(), ["images", "boxes", "step"]
    axes = {"images": {0: "batch", 2: "height", 3: "width"}, "boxes": {0: "chunks"}}
    options: dict[str, Any] = {"input_names": names, "output_names": ["features"], "dynamic_axes": axes, "opset_version": opset}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about values that become constants, as the number of regions in a chunk is meant to
        torch.onnx.export(module, inputs, file, dynamo=False, **options)  # type: ignore[arg-type]  # it writes to open files
    return onnx.load_from_string(file.getvalue()).graph
