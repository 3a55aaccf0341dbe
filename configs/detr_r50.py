"""The config ``detr_r50`` of the model zoo: see ``detkit/zoo/transformers``."""

from detkit.zoo.transformers.detr_r50 import config

__all__ = ["config"]
