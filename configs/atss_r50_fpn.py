"""The config ``atss_r50_fpn`` of the model zoo: see ``detkit/zoo/dense``."""

from detkit.zoo.dense.atss_r50_fpn import config

__all__ = ["config"]
