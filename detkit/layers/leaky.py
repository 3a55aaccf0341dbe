"""Activation of Darknet networks."""

from __future__ import annotations

from torch import nn


class Leaky(nn.LeakyReLU):
    """``max(x, 0.1 x)``, the activation of YOLO (arXiv:1506.02640, section 2.2)."""

    def __init__(self) -> None:
        super().__init__(0.1, inplace=True)
