"""The config ``fast_rcnn_vgg16`` of the model zoo: see ``detkit/zoo/two_stage``."""

from detkit.zoo.two_stage.fast_rcnn_vgg16 import config

__all__ = ["config"]
