"""The config ``embedded_lite0_coco`` of the model zoo: see ``detkit/zoo/house``."""

from detkit.zoo.house.embedded_lite0_coco import config

__all__ = ["config"]
