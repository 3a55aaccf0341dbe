"""The config ``fcos_r50_fpn_paper`` of the model zoo: see ``detkit/zoo/fcos_r50_fpn_paper.py``."""

from detkit.zoo.fcos_r50_fpn_paper import config

__all__ = ["config"]
