"""The backbones of YOLOv1 (arXiv:1506.02640): its first 20 convolutions, or the first six of Fast YOLO."""

from __future__ import annotations

from typing import Any

from torch import nn

from detkit.backbones.backbone import Backbone, SequentialBackbone
from detkit.backbones.registry import BACKBONE_INFO
from detkit.layers import ConvNormAct, Leaky

# Figure 3 of the paper: for each stage the (channels, kernel) of its convolutions; stages are separated by 2x2 max pooling.
_FULL = (
    ((64, 7),),
    ((192, 3),),
    ((128, 1), (256, 3), (256, 1), (512, 3)),
    (*((256, 1), (512, 3)) * 4, (512, 1), (1024, 3)),
    (*((512, 1), (1024, 3)) * 2,),
)
# "Fewer convolutional layers (9 instead of 24) and fewer filters" (section 2.2); the filters are those of the author's yolo-tiny.cfg.
_TINY = tuple(((channels, 3),) for channels in (16, 32, 64, 128, 256, 512))


def darknet_yolov1(**options: Any) -> Backbone:
    """YOLOv1's first 20 convolutions, the ones that were pretrained on ImageNet.

    Every convolution has a batch norm, which the paper does not mention but the author's published yolov1.cfg has.
    """
    return _darknet("darknet_yolov1", _FULL, first=1, first_stride=2, **options)


def darknet_yolov1_tiny(**options: Any) -> Backbone:
    """The six narrow convolutions of Fast YOLO."""
    return _darknet("darknet_yolov1_tiny", _TINY, first=0, first_stride=1, **options)


def _darknet(name: str, stages: tuple[tuple[tuple[int, int], ...], ...], *, first: int, first_stride: int, **options: Any) -> Backbone:
    """Build stages named ``stage{k}`` with outputs ``c{k}``, where ``k`` counts from ``first`` and the stride is ``2 ** k``."""
    body, channels = nn.ModuleDict(), 3
    for index, convolutions in enumerate(stages):
        parts: list[nn.Module] = [] if index == 0 else [nn.MaxPool2d(2, ceil_mode=True)]
        for out_channels, kernel in convolutions:
            stride = first_stride if not parts else 1
            parts.append(ConvNormAct(channels, out_channels, kernel, stride=stride, norm="batch", activation=Leaky))
            nn.init.kaiming_normal_(parts[-1].get_parameter("0.weight"), a=0.1, mode="fan_out")
            channels = out_channels
        body[f"stage{first + index}"] = nn.Sequential(*parts)
    taps = {f"c{first + index}": f"stage{first + index}" for index in range(len(stages))}
    return SequentialBackbone(body, BACKBONE_INFO[name], stages=tuple((part,) for part in taps.values()), taps=taps, **options)
