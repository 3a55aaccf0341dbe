"""The config ``faster_rcnn_alternating_lite0_bccd`` of the model zoo: see ``detkit/zoo/two_stage``."""

from detkit.zoo.two_stage.faster_rcnn_alternating_lite0_bccd import config

__all__ = ["config"]
