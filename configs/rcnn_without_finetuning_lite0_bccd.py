"""The config ``rcnn_without_finetuning_lite0_bccd`` of the model zoo: see ``detkit/zoo/multi_stage``."""

from detkit.zoo.multi_stage.rcnn_without_finetuning_lite0_bccd import config

__all__ = ["config"]
