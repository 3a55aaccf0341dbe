"""D-FINE's boxes: each edge is a distribution over distances from a reference box (arXiv:2410.13842, section 4.1).

Boxes are center and size as fractions of the image, as in the released code. A distance is how far an edge is moved outward from where the
reference box has it, in units of the reference's width or height divided by ``reg_scale``; edges are left, top, right and bottom.
All functions compute in float32, also under autocast, and can be exported.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detkit.heads.queries.layers import Perceptron

TOP_PROBABILITIES = 4
"""Largest probabilities of each edge from which the quality of a box is estimated (the constant of the released code)."""


def bin_values(up: Tensor, reg_scale: Tensor, bins: int = 32) -> Tensor:
    """Return the distance of each bin, ``(bins + 1,)`` in ascending order, 0 in the middle.

    The steps grow from the middle outward, and the first and last value are twice their neighbors. Source: the paper's weighting
    function with ``a = up`` and ``c = 1 / reg_scale``, multiplied by ``reg_scale`` as in ``weighting_function`` of the released code.

    Args:
        up: ``(1,)`` largest distance but one, as a fraction of the reference's side; 0.5 in all published models.
        reg_scale: ``(1,)`` curvature, 4 in all published models but X, which has 8.
        bins: Number of steps between the values, even and at least 4.
    """
    largest = up.float() * reg_scale.float()
    offsets = torch.arange(-(bins // 2) + 1, bins // 2, device=up.device)
    inner = offsets.sign() * ((largest + 1) ** (offsets.abs() * (2 / (bins - 2))) - 1)
    return torch.cat((-2 * largest, inner, 2 * largest))


def expected_distances(logits: Tensor, values: Tensor) -> Tensor:
    """Return the mean ``(..., 4)`` of each edge's distribution, given its logits ``(..., 4, bins + 1)`` and :func:`bin_values`."""
    # Not a matrix product, which autocast would compute in half precision.
    return (logits.float().softmax(-1) * values.float()).sum(-1)


def distances_to_cxcywh(distances: Tensor, references: Tensor, reg_scale: Tensor) -> Tensor:
    """Return the boxes ``(..., 4)`` whose edges are at ``distances`` ``(..., 4)`` from those of ``references`` ``(..., 4)``.

    A size is negative where opposite edges have passed each other; the released code sets it to 0 before it computes an IoU.
    """
    references, reg_scale = references.float(), reg_scale.float()
    center, size = references[..., :2], references[..., 2:]
    unit = size / reg_scale
    moves = 0.5 * reg_scale + distances.float()
    top_left, bottom_right = center - moves[..., :2] * unit, center + moves[..., 2:] * unit
    return torch.cat(((top_left + bottom_right) / 2, bottom_right - top_left), -1)


class QualityEstimator(nn.Module):
    """Corrects the logits of a box's classes by how sharp the distributions of its edges are ("LQE" of the released code).

    It starts without effect. The names of the parameters are those of the released code.

    Args:
        hidden: Width of the hidden layers.
        layers: Number of linear layers.
        activation: Activation between the layers.
    """

    def __init__(self, hidden: int = 64, layers: int = 2, activation: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        widths = (4 * (TOP_PROBABILITIES + 1), *[hidden] * (layers - 1), 1)
        self.reg_conf = Perceptron(widths, activation, float32=True, zero=True)

    def forward(self, class_logits: Tensor, edge_logits: Tensor) -> Tensor:
        """Return corrected logits ``(..., K)``, given those of the classes and ``(..., 4, bins + 1)`` logits of the edges."""
        top = edge_logits.float().softmax(-1).topk(TOP_PROBABILITIES, -1).values
        statistics = torch.cat((top, top.mean(-1, keepdim=True)), -1)
        corrected: Tensor = class_logits.float() + self.reg_conf(statistics.flatten(-2))
        return corrected
