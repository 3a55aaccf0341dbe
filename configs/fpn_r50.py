"""The config ``fpn_r50`` of the model zoo: see ``detkit/zoo/fpn_r50.py``."""

from detkit.zoo.fpn_r50 import config

__all__ = ["config"]
