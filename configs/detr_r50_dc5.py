"""The config ``detr_r50_dc5`` of the model zoo: see ``detkit/zoo/transformers``."""

from detkit.zoo.transformers.detr_r50_dc5 import config

__all__ = ["config"]
