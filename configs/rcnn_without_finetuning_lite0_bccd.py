"""The config ``rcnn_without_finetuning_lite0_bccd`` of the model zoo: see ``detkit/zoo/rcnn_without_finetuning_lite0_bccd.py``."""

from detkit.zoo.rcnn_without_finetuning_lite0_bccd import config

__all__ = ["config"]
