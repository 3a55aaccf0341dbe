"""The config ``light_lite0_bccd_taught`` of the model zoo: see ``detkit/zoo/light_lite0_bccd_taught.py``."""

from detkit.zoo.light_lite0_bccd_taught import config

__all__ = ["config"]
