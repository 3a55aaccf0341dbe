"""YOLOX in its six sizes, and a light detector for small machines on the same head."""

from __future__ import annotations

from detkit.backbones import BackboneConfig
from detkit.heads.postprocess import PostprocessConfig
from detkit.heads.yolox import YOLOXHeadConfig
from detkit.models.yolox import YOLOXConfig, letterbox
from detkit.necks import LightPANConfig, PANConfig
from detkit.preprocess import PreprocessConfig


def yolox_nano() -> YOLOXConfig:
    """A quarter of the channels of the size l, depthwise convolutions, images of 416 pixels."""
    return _yolox("nano", 64, depth=1, side=416)


def yolox_tiny() -> YOLOXConfig:
    """.375 of the channels, images of 416 pixels."""
    return _yolox("tiny", 96, depth=1, side=416)


def yolox_s() -> YOLOXConfig:
    """Half of the channels."""
    return _yolox("s", 128, depth=1)


def yolox_m() -> YOLOXConfig:
    """.75 of the channels."""
    return _yolox("m", 192, depth=2)


def yolox_l() -> YOLOXConfig:
    """The size that the others are fractions of."""
    return _yolox("l", 256, depth=3)


def yolox_x() -> YOLOXConfig:
    """1.25 times the channels."""
    return _yolox("x", 320, depth=4)


def _yolox(size: str, channels: int, *, depth: int, side: int = 640) -> YOLOXConfig:
    """A size as the code's ``exps/default`` has it; it tests nano and tiny at 416 pixels, the others at 640."""
    depthwise = size == "nano"
    return YOLOXConfig(
        preprocess=letterbox(side),
        backbone=BackboneConfig(name=f"csp_darknet_{size}", weights=None),
        neck=PANConfig(depth=depth, depthwise=depthwise),
        head=YOLOXHeadConfig(channels=channels, depthwise=depthwise),
    )


def light_lite0(channels: int = 96) -> YOLOXConfig:
    """EfficientNet-Lite0, a light path aggregation network, and YOLOX's head with depthwise convolutions; our own wiring.

    Its neck and its head have so many ``channels``. ReLU takes the place of SiLU, whose
    exponential costs a CPU as much as a small convolution, and kernels are 5x5, which costs a depthwise convolution little and lets few
    layers see far.
    """
    return YOLOXConfig(
        preprocess=PreprocessConfig(rule="letterbox", input_size=(416, 416)),
        backbone=BackboneConfig(name="efficientnet_lite0", frozen_stages=1),
        neck=LightPANConfig(out_channels=channels),
        head=YOLOXHeadConfig(
            channels=channels,
            kernel=5,
            depthwise=True,
            activation="relu",
            box_loss="giou",
            postprocess=PostprocessConfig(min_score=0.01, nms_iou=0.6),
        ),
    )
