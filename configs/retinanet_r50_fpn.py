"""The config ``retinanet_r50_fpn`` of the model zoo: see ``detkit/zoo/retinanet_r50_fpn.py``."""

from detkit.zoo.retinanet_r50_fpn import config

__all__ = ["config"]
