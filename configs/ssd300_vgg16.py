"""The config ``ssd300_vgg16`` of the model zoo: see ``detkit/zoo/ssd300_vgg16.py``."""

from detkit.zoo.ssd300_vgg16 import config

__all__ = ["config"]
