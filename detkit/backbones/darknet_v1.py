"""The networks of YOLOv1 (arXiv:1506.02640) up to what it adds for detection: 20 convolutions, or the first six of Fast YOLO."""

from __future__ import annotations

from typing import Any

from torch import nn

from detkit.backbones.backbone import Backbone, ChainBackbone
from detkit.backbones.facts import FACTS
from detkit.layers import ConvNormAct, Leaky

# Figure 3 of the paper: for each stage the (channels, kernel) of its convolutions; stages are parted by 2x2 max pooling.
_FULL = (
    ((64, 7),),
    ((192, 3),),
    ((128, 1), (256, 3), (256, 1), (512, 3)),
    (*((256, 1), (512, 3)) * 4, (512, 1), (1024, 3)),
    (*((512, 1), (1024, 3)) * 2,),
)
# "Fewer convolutional layers (9 instead of 24) and fewer filters" (section 2.2); the filters are those of the author's yolo-tiny.cfg.
_TINY = tuple(((channels, 3),) for channels in (16, 32, 64, 128, 256, 512))


def darknet_yolov1(**choices: Any) -> Backbone:
    """YOLOv1's first 20 convolutions, the ones that were trained on ImageNet first.

    Every convolution has a batch norm, which the paper does not name and the author's published yolov1.cfg has.
    """
    return _darknet("darknet_yolov1", _FULL, first=1, first_stride=2, **choices)


def darknet_yolov1_tiny(**choices: Any) -> Backbone:
    """The six narrow convolutions of Fast YOLO."""
    return _darknet("darknet_yolov1_tiny", _TINY, first=0, first_stride=1, **choices)


def _darknet(name: str, stages: tuple[tuple[tuple[int, int], ...], ...], *, first: int, first_stride: int, **choices: Any) -> Backbone:
    """Stage ``k`` is the module ``stage{k}`` and its output the level ``c{k}``, counted from ``first``, the power of 2 of its stride."""
    body, channels = nn.ModuleDict(), 3
    for place, convolutions in enumerate(stages):
        parts: list[nn.Module] = [] if place == 0 else [nn.MaxPool2d(2, ceil_mode=True)]
        for out_channels, kernel in convolutions:
            stride = first_stride if not parts else 1
            parts.append(ConvNormAct(channels, out_channels, kernel, stride=stride, norm="batch", activation=Leaky))
            nn.init.kaiming_normal_(parts[-1].get_parameter("0.weight"), a=0.1, mode="fan_out")
            channels = out_channels
        body[f"stage{first + place}"] = nn.Sequential(*parts)
    taps = {f"c{first + place}": f"stage{first + place}" for place in range(len(stages))}
    return ChainBackbone(body, FACTS[name], stages=tuple((part,) for part in taps.values()), taps=taps, **choices)
