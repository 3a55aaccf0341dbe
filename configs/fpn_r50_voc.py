"""The config ``fpn_r50_voc`` of the model zoo: see ``detkit/zoo/fpn_r50_voc.py``."""

from detkit.zoo.fpn_r50_voc import config

__all__ = ["config"]
