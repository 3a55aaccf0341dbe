"""YOLOv1 as in the paper, YOLOX in its six sizes, and a light detector for small devices with YOLOX's head."""

from __future__ import annotations

from detkit.backbones import BackboneConfig
from detkit.heads.postprocess import PostprocessConfig
from detkit.heads.yolov1 import YOLOv1HeadConfig
from detkit.heads.yolox import YOLOXHeadConfig
from detkit.models.yolov1 import YOLOv1Config
from detkit.models.yolox import YOLOXConfig, letterbox
from detkit.necks import LightPANConfig, PANConfig, YOLOv1NeckConfig
from detkit.preprocess import PreprocessConfig


def yolov1() -> YOLOv1Config:
    """YOLO: 24 convolutions and two fully connected layers (arXiv:1506.02640, figure 3)."""
    return YOLOv1Config()


def yolov1_tiny() -> YOLOv1Config:
    """Fast YOLO: 9 convolutions (section 2.2).

    Filters and the three fully connected layers are those of the author's yolo-tiny.cfg.
    """
    return YOLOv1Config(
        backbone=BackboneConfig(name="darknet_yolov1_tiny", weights=None),
        neck=YOLOv1NeckConfig(channels=(1024, 1024, 1024), downsample="pooling"),
        head=YOLOv1HeadConfig(hidden=(256, 4096)),
    )


def yolox_nano() -> YOLOXConfig:
    """YOLOX-nano: a quarter of the channels of size l, depthwise convolutions, images of 416 pixels."""
    return _yolox("nano", 64, depth=1, side=416)


def yolox_tiny() -> YOLOXConfig:
    """YOLOX-tiny: 0.375 of the channels of size l, images of 416 pixels."""
    return _yolox("tiny", 96, depth=1, side=416)


def yolox_s() -> YOLOXConfig:
    """YOLOX-s: half of the channels of size l."""
    return _yolox("s", 128, depth=1)


def yolox_m() -> YOLOXConfig:
    """YOLOX-m: 0.75 of the channels of size l."""
    return _yolox("m", 192, depth=2)


def yolox_l() -> YOLOXConfig:
    """YOLOX-l: the reference for the channels of the other sizes."""
    return _yolox("l", 256, depth=3)


def yolox_x() -> YOLOXConfig:
    """YOLOX-x: 1.25 times the channels of size l."""
    return _yolox("x", 320, depth=4)


def _yolox(size: str, channels: int, *, depth: int, side: int = 640) -> YOLOXConfig:
    """Return the config of a size as in the code's ``exps/default``, which tests nano and tiny at 416 pixels, the others at 640."""
    depthwise = size == "nano"
    return YOLOXConfig(
        preprocess=letterbox(side),
        backbone=BackboneConfig(name=f"csp_darknet_{size}", weights=None),
        neck=PANConfig(depth=depth, depthwise=depthwise),
        head=YOLOXHeadConfig(channels=channels, depthwise=depthwise),
    )


def light_lite0(channels: int = 96) -> YOLOXConfig:
    """Combine EfficientNet-Lite0, a light path aggregation network and YOLOX's head with depthwise convolutions.

    This combination is our own. Neck and head have ``channels`` channels. ReLU replaces SiLU, whose exponential costs as much on a CPU as a
    small convolution, and kernels are 5x5, which adds little cost to a depthwise convolution and gives few layers a large receptive field.
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
