"""The config ``unet_lite0`` of the model zoo: see ``detkit/zoo/semantic``."""

from detkit.zoo.semantic.unet_lite0 import config

__all__ = ["config"]
