"""Config of YOLOv1's neck."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from detkit.config import Config

if TYPE_CHECKING:
    from detkit.necks.yolov1 import YOLOv1Neck


class YOLOv1NeckConfig(Config):
    """Convolutions that YOLOv1 adds for detection after a backbone's last map (arXiv:1506.02640, section 2.2)."""

    kind: Literal["yolov1_convolutions"] = "yolov1_convolutions"
    channels: tuple[int, ...] = Field((1024, 1024, 1024, 1024), min_length=1)
    """Channels of each 3x3 convolution."""
    downsample: Literal["convolution", "pooling"] = "convolution"
    """How the size of the map is halved: ``convolution``, by the second convolution (the first, if there is only one), or ``pooling``
    before the first, as in Fast YOLO."""
    norm: Literal["batch"] | None = "batch"
    """Norm after each convolution; the paper mentions none, the author's published yolov1.cfg has batch norm."""

    def build(self, backbone: Any) -> YOLOv1Neck:
        """Build the convolutions over a backbone."""
        from detkit.necks.yolov1 import YOLOv1Neck

        return YOLOv1Neck(backbone, self)
