"""The config ``fpn_mobilenet`` of the model zoo: see ``detkit/zoo/fpn_mobilenet.py``."""

from detkit.zoo.fpn_mobilenet import config

__all__ = ["config"]
