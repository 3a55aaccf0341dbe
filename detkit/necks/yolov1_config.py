"""YOLOv1's neck in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from detkit.config import Config

if TYPE_CHECKING:
    from detkit.necks.yolov1 import YOLOv1Neck


class YOLOv1NeckConfig(Config):
    """The convolutions that YOLOv1 adds for detection behind a backbone's last map (arXiv:1506.02640, section 2.2)."""

    kind: Literal["yolov1_convolutions"] = "yolov1_convolutions"
    channels: tuple[int, ...] = Field((1024, 1024, 1024, 1024), min_length=1)
    """Of each 3x3 convolution."""
    downsample: Literal["convolution", "pooling"] = "convolution"
    """What halves the map's sides: the second convolution (the first, if there is one), or pooling before the first as in Fast YOLO."""
    norm: Literal["batch"] | None = "batch"
    """A norm behind each convolution; the paper names none, the author's published yolov1.cfg has them."""

    def build(self, backbone: Any) -> YOLOv1Neck:
        """The convolutions over a backbone."""
        from detkit.necks.yolov1 import YOLOv1Neck

        return YOLOv1Neck(backbone, self)
