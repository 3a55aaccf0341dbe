"""YOLOv1 configs with the settings of the paper."""

from __future__ import annotations

from detkit.backbones import BackboneConfig
from detkit.heads.yolov1 import YOLOv1HeadConfig
from detkit.models.yolov1 import YOLOv1Config
from detkit.necks import YOLOv1NeckConfig


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
