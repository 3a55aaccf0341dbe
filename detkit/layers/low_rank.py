"""Factorization of a linear layer into two smaller ones by truncated singular value decomposition."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def low_rank(layer: nn.Linear, rank: int) -> nn.Sequential:
    """Return the best approximation of ``layer`` of this rank, as two layers (Fast R-CNN, arXiv:1504.08083, section 3.1).

    ``(u, v)`` weights become ``(rank, v)``, without a bias, and ``(u, rank)``: ``rank * (u + v)`` multiplications instead of ``u * v``.

    Raises:
        ValueError: If the rank is not between 1 and the smaller dimension of the weights.
    """
    max_rank = min(layer.weight.shape)
    if not 1 <= rank <= max_rank:
        raise ValueError(
            f"svd: expected a rank from 1 to {max_rank} for a layer of {layer.in_features} to {layer.out_features}, got {rank}"
        )
    left, values, right = torch.linalg.svd(layer.weight.float(), full_matrices=False)
    first = nn.Linear(layer.in_features, rank, bias=False)
    second = nn.Linear(rank, layer.out_features, bias=layer.bias is not None)
    first.weight.copy_(values[:rank, None] * right[:rank])
    second.weight.copy_(left[:, :rank])
    if layer.bias is not None:
        second.bias.copy_(layer.bias)
    return nn.Sequential(first, second).to(layer.weight)
