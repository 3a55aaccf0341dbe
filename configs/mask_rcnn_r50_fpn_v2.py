"""The config ``mask_rcnn_r50_fpn_v2`` of the model zoo: see ``detkit/zoo/two_stage``."""

from detkit.zoo.two_stage.mask_rcnn_r50_fpn_v2 import config

__all__ = ["config"]
