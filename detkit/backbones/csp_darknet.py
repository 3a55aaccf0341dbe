"""CSPDarknet, the backbone of YOLOX (arXiv:2107.08430), in its six sizes."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from detkit.backbones.backbone import Backbone, SequentialBackbone
from detkit.backbones.registry import BACKBONE_INFO
from detkit.layers import ConvNormAct, CSPBlock, SpatialPyramidPooling, conv_block, set_batch_norms

_STAGES = (("stem",), ("dark2",), ("dark3",), ("dark4",), ("dark5",))
_TAPS = {"c1": "stem", "c2": "dark2", "c3": "dark3", "c4": "dark4", "c5": "dark5"}
_DEPTHS = {"nano": 1, "tiny": 1, "s": 1, "m": 2, "l": 3, "x": 4}
"""Bottlenecks of the shortest blocks: the depth factors .33, .33, .33, .67, 1 and 1.33 of YOLOX's code, times 3 and rounded."""


def csp_darknet_nano(**options: Any) -> Backbone:
    """CSPDarknet with a quarter of the channels and depthwise convolutions."""
    return _csp_darknet("nano", **options)


def csp_darknet_tiny(**options: Any) -> Backbone:
    """CSPDarknet with .375 of the channels."""
    return _csp_darknet("tiny", **options)


def csp_darknet_s(**options: Any) -> Backbone:
    """CSPDarknet with half of the channels."""
    return _csp_darknet("s", **options)


def csp_darknet_m(**options: Any) -> Backbone:
    """CSPDarknet with .75 of the channels."""
    return _csp_darknet("m", **options)


def csp_darknet_l(**options: Any) -> Backbone:
    """CSPDarknet at full size, of which the other sizes are fractions."""
    return _csp_darknet("l", **options)


def csp_darknet_x(**options: Any) -> Backbone:
    """CSPDarknet with 1.25 times the channels."""
    return _csp_darknet("x", **options)


def _csp_darknet(size: str, **options: Any) -> Backbone:
    info = BACKBONE_INFO[f"csp_darknet_{size}"]
    body = CSPDarknet(info.levels[0].channels, _DEPTHS[size], depthwise=size == "nano")
    return SequentialBackbone(body, info, stages=_STAGES, taps=_TAPS, **options)


class CSPDarknet(nn.Module):
    """The modules of the network, under the names of YOLOX's code.

    Args:
        channels: Of the stem's map; every stage doubles them.
        depth: Bottlenecks of the first and the last stage; the others have three times as many.
        depthwise: Whether 3x3 convolutions are depthwise, each followed by a 1x1 convolution.
    """

    def __init__(self, channels: int, depth: int, *, depthwise: bool) -> None:
        super().__init__()
        self.stem = Stem(channels)
        for stage, bottlenecks in zip((2, 3, 4, 5), (depth, 3 * depth, 3 * depth, depth), strict=True):
            last = stage == 5
            parts: list[nn.Module] = [conv_block(channels, 2 * channels, stride=2, depthwise=depthwise)]
            if last:
                parts.append(SpatialPyramidPooling(2 * channels))
            parts.append(CSPBlock(2 * channels, 2 * channels, bottlenecks, shortcut=not last, depthwise=depthwise))
            self.add_module(f"dark{stage}", nn.Sequential(*parts))
            channels *= 2
        set_batch_norms(self)


class Stem(ConvNormAct):
    """A 6x6 convolution with stride 2.

    YOLOX's code instead stacks the four pixels of each 2x2 block as channels and applies a 3x3 convolution, which is the same operation
    with its weights in another order; :mod:`detkit.models.published.yolox` reorders them.
    """

    def __init__(self, out_channels: int) -> None:
        super().__init__(3, out_channels, 6, stride=2, norm="batch", activation=nn.SiLU)

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)`` to ``(B, C, ceil(H / 2), ceil(W / 2))``."""
        odd_height, odd_width = images.shape[-2] % 2, images.shape[-1] % 2
        if odd_height or odd_width:
            images = functional.pad(images, (0, odd_width, 0, odd_height))
        output: Tensor = super().forward(images)  # type: ignore[no-untyped-call]
        return output
