"""The config ``ssd512_vgg16`` of the model zoo: see ``detkit/zoo/ssd512_vgg16.py``."""

from detkit.zoo.ssd512_vgg16 import config

__all__ = ["config"]
