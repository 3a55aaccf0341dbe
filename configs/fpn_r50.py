"""The config ``fpn_r50`` of the model zoo: see ``detkit/zoo/two_stage``."""

from detkit.zoo.two_stage.fpn_r50 import config

__all__ = ["config"]
