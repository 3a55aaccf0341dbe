"""The config ``detr_lite0_bccd`` of the model zoo: see ``detkit/zoo/transformers``."""

from detkit.zoo.transformers.detr_lite0_bccd import config

__all__ = ["config"]
