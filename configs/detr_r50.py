"""The config ``detr_r50`` of the model zoo: see ``detkit/zoo/detr_r50.py``."""

from detkit.zoo.detr_r50 import config

__all__ = ["config"]
