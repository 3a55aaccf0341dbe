"""The config ``fcn_r50`` of the model zoo: see ``detkit/zoo/semantic``."""

from detkit.zoo.semantic.fcn_r50 import config

__all__ = ["config"]
