"""The config ``rcnn_alexnet`` of the model zoo: see ``detkit/zoo/multi_stage``."""

from detkit.zoo.multi_stage.rcnn_alexnet import config

__all__ = ["config"]
