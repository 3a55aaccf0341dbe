"""The last layers of a mask head in training, as products of matrices, on the CPU."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def upsampled_product(x: Tensor, weight: Tensor, bias: Tensor, kernels: Tensor) -> Tensor:
    """Return ``relu(conv_transpose2d(x, weight, bias, stride=2))`` times a vector of channels for each image, ``(N, 2 H, 2 W)`` float32.

    A transposed convolution of side and stride 2 is a product of matrices whose outputs are reordered. Only the result of the product with
    the vectors is reordered here, which has one channel; torch's backward pass of the transposed convolution takes twice as long, and in
    bfloat16 the gradient of its bias more than both others.

    Args:
        x: ``(N, C, H, W)``, channels-last.
        weight: ``(C, K, 2, 2)``.
        bias: ``(K,)``.
        kernels: ``(N, K)`` float32, by which the last product is computed also under autocast.
    """
    count, _, height, width = x.shape
    rows = weight.permute(2, 3, 1, 0).flatten(0, 2)
    features = functional.relu(functional.linear(x.permute(0, 2, 3, 1), rows, bias.repeat(4))).view(count, -1, weight.shape[1])
    with torch.autocast(x.device.type, enabled=False):
        values = features.float() @ kernels[:, :, None]
    return values.view(count, height, width, 2, 2).transpose(2, 3).reshape(count, 2 * height, 2 * width)
