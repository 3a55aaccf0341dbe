"""The config ``fcos_r50_fpn`` of the model zoo: see ``detkit/zoo/fcos_r50_fpn.py``."""

from detkit.zoo.fcos_r50_fpn import config

__all__ = ["config"]
