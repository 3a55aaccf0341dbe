"""The config ``fast_rcnn_lite0_bccd`` of the model zoo: see ``detkit/zoo/two_stage``."""

from detkit.zoo.two_stage.fast_rcnn_lite0_bccd import config

__all__ = ["config"]
