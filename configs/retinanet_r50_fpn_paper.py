"""The config ``retinanet_r50_fpn_paper`` of the model zoo: see ``detkit/zoo/retinanet_r50_fpn_paper.py``."""

from detkit.zoo.retinanet_r50_fpn_paper import config

__all__ = ["config"]
