"""The config ``faster_rcnn_alternating_vgg16`` of the model zoo: see ``detkit/zoo/two_stage``."""

from detkit.zoo.two_stage.faster_rcnn_alternating_vgg16 import config

__all__ = ["config"]
