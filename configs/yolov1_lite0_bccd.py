"""The config ``yolov1_lite0_bccd`` of the model zoo: see ``detkit/zoo/yolo``."""

from detkit.zoo.yolo.yolov1_lite0_bccd import config

__all__ = ["config"]
