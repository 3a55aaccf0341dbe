"""The config ``detr_r50_dc5`` of the model zoo: see ``detkit/zoo/detr_r50_dc5.py``."""

from detkit.zoo.detr_r50_dc5 import config

__all__ = ["config"]
