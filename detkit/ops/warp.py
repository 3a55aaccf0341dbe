"""Regions cut from images and brought to one size, whatever their shape: R-CNN's warp."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def with_context(boxes: Tensor, size: int, context: int) -> Tensor:
    """``(N, 4)`` boxes enlarged so that, warped to ``size`` pixels a side, the box itself ends ``context`` pixels from every edge.

    Source: R-CNN (arXiv:1311.2524), appendix A.

    Raises:
        ValueError: the context leaves no pixel to the box.
    """
    if not 0 <= 2 * context < size:
        raise ValueError(f"warp: expected a context below half of the size, got {context} pixels on each side of {size}")
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    halves = (boxes[:, 2:] - boxes[:, :2]) / 2 * (size / (size - 2 * context))
    return torch.cat((centers - halves, centers + halves), 1)


def warped(image: Tensor, boxes: Tensor, size: int) -> Tensor:
    """The ``(N, 4)`` boxes of a ``(3, H, W)`` image, each as ``(3, size, size)``, bilinear; zero where a box reaches beyond the image.

    Each pixel of the result is one sample between four of the image's, as in R-CNN's released code (``rcnn_im_crop.m``: bilinear, not
    averaged). An image that holds normalized values shows its mean beyond its edges, as there.
    """
    height, width = image.shape[-2:]
    steps = (torch.arange(size, device=image.device) + 0.5) / size
    x = boxes[:, :1] + steps * (boxes[:, 2:3] - boxes[:, :1])
    y = boxes[:, 1:2] + steps * (boxes[:, 3:4] - boxes[:, 1:2])
    # grid_sample's places run from -1 to 1 over the image's outer edges.
    shape = (len(boxes), size, size)
    locations = torch.stack(((2 * x / width - 1)[:, None, :].expand(shape), (2 * y / height - 1)[:, :, None].expand(shape)), -1)
    # The crops of one image are sampled as one tall image: one call for all, and the image is not copied for each.
    tall = locations.reshape(1, len(boxes) * size, size, 2).to(image.dtype)
    cut: Tensor = functional.grid_sample(image[None], tall, mode="bilinear", padding_mode="zeros", align_corners=False)
    return cut.view(cut.shape[1], len(boxes), size, size).transpose(0, 1)
