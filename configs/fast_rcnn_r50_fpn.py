"""The config ``fast_rcnn_r50_fpn`` of the model zoo: see ``detkit/zoo/fast_rcnn_r50_fpn.py``."""

from detkit.zoo.fast_rcnn_r50_fpn import config

__all__ = ["config"]
