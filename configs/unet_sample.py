"""The config ``unet_sample`` of the model zoo: see ``detkit/zoo/semantic``."""

from detkit.zoo.semantic.unet_sample import config

__all__ = ["config"]
