"""YOLOv1 and Fast YOLO (arXiv:1506.02640)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from detkit.backbones import BackboneConfig
from detkit.heads.yolov1 import YOLOv1HeadConfig
from detkit.models.checks import fixed_input_size
from detkit.models.detector import DetectorConfig
from detkit.models.one_stage import OneStage
from detkit.necks.yolov1_config import YOLOv1NeckConfig
from detkit.preprocess import PreprocessConfig


class YOLOv1Config(DetectorConfig):
    """YOLOv1; the defaults are the paper's: S = 7, B = 2, its loss, images of 448 x 448.

    It differs from the paper in three things: its convolutions have batch norms, as in the author's published yolov1.cfg
    (``neck.norm``); of several objects with centers in one cell, the first in the data is learned (Darknet shuffles them); and the first 20
    convolutions, which nobody publishes as trained on ImageNet, start at random. Another backbone brings weights:
    ``model.backbone.name=resnet18 model.backbone.weights=default``. S is the image's side divided by twice the backbone's stride.
    """

    kind: Literal["yolov1"] = "yolov1"
    """Which detector this is."""
    preprocess: PreprocessConfig = PreprocessConfig(rule="fixed", input_size=(448, 448))
    """How images are resized before the model sees them; it takes one ``input_size``."""
    backbone: BackboneConfig = BackboneConfig(name="darknet_yolov1", weights=None)
    """The network that makes the map; its ``c5`` is used unless ``levels`` names another."""
    neck: YOLOv1NeckConfig = YOLOv1NeckConfig()
    """The convolutions behind it."""
    head: YOLOv1HeadConfig = YOLOv1HeadConfig()
    """What predicts for every cell."""

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        fixed_input_size(self.kind, self.preprocess)
        return self

    def build(self, num_classes: int) -> OneStage:
        """The detector with random numbers, for so many classes.

        Raises:
            ValueError: parts do not fit together.
        """
        height, width = fixed_input_size(self.kind, self.preprocess)
        neck = self.neck.build(self.backbone.replace(levels=self.backbone.levels or ("c5",)).build())
        grid = (-(-height // neck.strides[0]), -(-width // neck.strides[0]))
        return OneStage(neck, self.head.build(neck.channels[0], grid, num_classes), (height, width))
