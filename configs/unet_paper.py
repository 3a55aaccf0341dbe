"""The config ``unet_paper`` of the model zoo: see ``detkit/zoo/semantic``."""

from detkit.zoo.semantic.unet_paper import config

__all__ = ["config"]
