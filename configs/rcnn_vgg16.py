"""The config ``rcnn_vgg16`` of the model zoo: see ``detkit/zoo/multi_stage``."""

from detkit.zoo.multi_stage.rcnn_vgg16 import config

__all__ = ["config"]
