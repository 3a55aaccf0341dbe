"""The config ``ssd512_vgg16`` of the model zoo: see ``detkit/zoo/dense``."""

from detkit.zoo.dense.ssd512_vgg16 import config

__all__ = ["config"]
