"""The config ``embedded_lite0_coco`` of the model zoo: see ``detkit/zoo/embedded_lite0_coco.py``."""

from detkit.zoo.embedded_lite0_coco import config

__all__ = ["config"]
