"""The config ``ssd_lite0_bccd`` of the model zoo: see ``detkit/zoo/ssd_lite0_bccd.py``."""

from detkit.zoo.ssd_lite0_bccd import config

__all__ = ["config"]
