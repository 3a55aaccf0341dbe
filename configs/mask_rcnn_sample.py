"""The config ``mask_rcnn_sample`` of the model zoo: see ``detkit/zoo/two_stage``."""

from detkit.zoo.two_stage.mask_rcnn_sample import config

__all__ = ["config"]
