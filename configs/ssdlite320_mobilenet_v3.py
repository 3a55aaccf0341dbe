"""The config ``ssdlite320_mobilenet_v3`` of the model zoo: see ``detkit/zoo/ssdlite320_mobilenet_v3.py``."""

from detkit.zoo.ssdlite320_mobilenet_v3 import config

__all__ = ["config"]
