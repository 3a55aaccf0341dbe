"""Networks of one-channel images: the luma of an image goes in, and the weights of the first convolutions are summed over the colors."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma of ITU-R BT.601; they sum to 1."""


def luma(images: Tensor) -> Tensor:
    """``(B, 3, H, W)`` to the luma ``(B, 1, H, W)``; one-channel images are returned unchanged."""
    if images.shape[1] == 1:
        return images
    return (images * images.new_tensor(LUMA).reshape(1, 3, 1, 1)).sum(1, keepdim=True)


def take_luma(network: nn.Module) -> None:
    """Let a network of one-channel images take color images too, of which it sees the luma."""
    network.register_forward_pre_hook(_convert_input)


def _convert_input(_network: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return (luma(inputs[0]), *inputs[1:])


def image_convolutions(network: nn.Module) -> tuple[str, ...]:
    """Return the names of the convolutions over three channels, which read the image: one, or one for each parallel branch."""
    return tuple(name for name, part in network.named_modules() if isinstance(part, nn.Conv2d) and part.in_channels == 3)


def sum_colors(weight: Tensor) -> Tensor:
    """``(O, 3, K, K)`` to ``(O, 1, K, K)``: the same response to a gray image in one channel as to it in three."""
    return weight.sum(1, keepdim=True)


def make_grayscale(network: nn.Module) -> tuple[str, ...]:
    """Let a network see one channel: sum the weights of its first convolutions over the colors, in place; return the names of the weights.

    Raises:
        ValueError: If no convolution reads the image.
    """
    names = image_convolutions(network)
    if not names:
        raise ValueError("expected a network whose first layer is a convolution over three channels, got none")
    for name in names:
        convolution: Any = network.get_submodule(name)
        convolution.in_channels = 1
        with torch.no_grad():
            convolution.weight = nn.Parameter(sum_colors(convolution.weight), convolution.weight.requires_grad)
    take_luma(network)
    return tuple(f"{name}.weight" for name in names)


def fit_colors(tensors: Mapping[str, Tensor], names: Collection[str]) -> dict[str, Tensor]:
    """Return the tensors of a file for color images with those of the first convolutions summed over the colors.

    Args:
        tensors: Of the file, under the names of the network.
        names: Of the weights that :func:`make_grayscale` changed.
    """
    return {
        name: sum_colors(tensor) if name in names and tensor.ndim == 4 and tensor.shape[1] == 3 else tensor
        for name, tensor in tensors.items()
    }
