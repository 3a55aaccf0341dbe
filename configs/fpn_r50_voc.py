"""The config ``fpn_r50_voc`` of the model zoo: see ``detkit/zoo/two_stage``."""

from detkit.zoo.two_stage.fpn_r50_voc import config

__all__ = ["config"]
