"""R-CNN's warp: crop regions and resize them to one size, whatever their aspect ratio."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def add_context(boxes: Tensor, size: int, context: int) -> Tensor:
    """Enlarge ``(N, 4)`` boxes so that, warped to ``size`` pixels a side, the original box ends ``context`` pixels from every edge.

    Source: R-CNN (arXiv:1311.2524), appendix A.

    Raises:
        ValueError: If the context leaves no pixel for the box.
    """
    if not 0 <= 2 * context < size:
        raise ValueError(f"warp: expected a context below half of the size, got {context} pixels on each side of {size}")
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    halves = (boxes[:, 2:] - boxes[:, :2]) / 2 * (size / (size - 2 * context))
    return torch.cat((centers - halves, centers + halves), 1)


def warp_regions(image: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Crop ``(N, 4)`` boxes from a ``(3, H, W)`` image and resize them to ``(N, 3, size, size)``; zero outside the image.

    Each output pixel is one bilinear sample of the image, without antialiasing, as in R-CNN's released code (``rcnn_im_crop.m``). For
    normalized images, zero outside the image is the mean color, as there.
    """
    height, width = image.shape[-2:]
    steps = (torch.arange(size, device=image.device) + 0.5) / size
    x = boxes[:, :1] + steps * (boxes[:, 2:3] - boxes[:, :1])
    y = boxes[:, 1:2] + steps * (boxes[:, 3:4] - boxes[:, 1:2])
    # Coordinates of grid_sample run from -1 to 1 between the outer edges of the image.
    shape = (len(boxes), size, size)
    locations = torch.stack(((2 * x / width - 1)[:, None, :].expand(shape), (2 * y / height - 1)[:, :, None].expand(shape)), -1)
    # The crops of one image are sampled as one tall image: a single call for all, without a copy of the image for each.
    tall = locations.reshape(1, len(boxes) * size, size, 2).to(image.dtype)
    crops: Tensor = functional.grid_sample(image[None], tall, mode="bilinear", padding_mode="zeros", align_corners=False)
    return crops.view(crops.shape[1], len(boxes), size, size).transpose(0, 1)
