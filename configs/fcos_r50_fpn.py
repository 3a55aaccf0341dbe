"""The config ``fcos_r50_fpn`` of the model zoo: see ``detkit/zoo/dense``."""

from detkit.zoo.dense.fcos_r50_fpn import config

__all__ = ["config"]
