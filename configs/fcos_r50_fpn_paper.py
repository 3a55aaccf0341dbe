"""The config ``fcos_r50_fpn_paper`` of the model zoo: see ``detkit/zoo/dense``."""

from detkit.zoo.dense.fcos_r50_fpn_paper import config

__all__ = ["config"]
