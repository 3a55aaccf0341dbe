"""The config ``ssdlite320_mobilenet_v3`` of the model zoo: see ``detkit/zoo/dense``."""

from detkit.zoo.dense.ssdlite320_mobilenet_v3 import config

__all__ = ["config"]
