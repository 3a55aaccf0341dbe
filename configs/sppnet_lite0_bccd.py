"""The config ``sppnet_lite0_bccd`` of the model zoo: see ``detkit/zoo/multi_stage``."""

from detkit.zoo.multi_stage.sppnet_lite0_bccd import config

__all__ = ["config"]
