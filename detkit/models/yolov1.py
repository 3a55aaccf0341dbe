"""YOLOv1 and Fast YOLO (arXiv:1506.02640)."""

from __future__ import annotations

from typing import ClassVar, Literal

from detkit.backbones import BackboneConfig
from detkit.heads.yolov1 import YOLOv1HeadConfig
from detkit.models.one_stage import OneStageConfig
from detkit.necks import YOLOv1NeckConfig
from detkit.preprocess import PreprocessConfig


class YOLOv1Config(OneStageConfig):
    """YOLOv1; the defaults are the paper's: S = 7, B = 2, its loss, images of 448 x 448.

    It differs from the paper in three respects: its convolutions have batch norms, as in the author's published yolov1.cfg (``neck.norm``);
    of several objects with centers in one cell, the first in the data is learned (Darknet shuffles them); and the first 20 convolutions are
    initialized at random, as nobody publishes their ImageNet weights. Another backbone has weights: ``model.backbone.name=resnet18
    model.backbone.weights=default``. S is the image's side divided by twice the backbone's stride.
    """

    has_fixed_size: ClassVar[bool] = True

    kind: Literal["yolov1"] = "yolov1"
    """Kind of detector."""
    preprocess: PreprocessConfig = PreprocessConfig(rule="fixed", input_size=(448, 448))
    """How images are resized for the model; a fixed ``input_size`` is required."""
    backbone: BackboneConfig = BackboneConfig(name="darknet_yolov1", weights=None)
    """Network that computes the feature map; ``c5`` is used unless ``levels`` names another."""
    neck: YOLOv1NeckConfig = YOLOv1NeckConfig()
    """Convolutions after the backbone."""
    head: YOLOv1HeadConfig = YOLOv1HeadConfig()
    """Head that predicts every cell."""

    def default_levels(self) -> tuple[str, ...]:
        """See :meth:`OneStageConfig.default_levels`."""
        return ("c5",)
