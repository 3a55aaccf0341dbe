"""The config ``ssd300_vgg16`` of the model zoo: see ``detkit/zoo/dense``."""

from detkit.zoo.dense.ssd300_vgg16 import config

__all__ = ["config"]
