"""The config ``fpn_mobilenet`` of the model zoo: see ``detkit/zoo/two_stage``."""

from detkit.zoo.two_stage.fpn_mobilenet import config

__all__ = ["config"]
