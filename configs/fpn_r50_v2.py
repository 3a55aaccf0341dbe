"""The config ``fpn_r50_v2`` of the model zoo: see ``detkit/zoo/fpn_r50_v2.py``."""

from detkit.zoo.fpn_r50_v2 import config

__all__ = ["config"]
