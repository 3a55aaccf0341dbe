"""The config ``sppnet_zf`` of the model zoo: see ``detkit/zoo/multi_stage``."""

from detkit.zoo.multi_stage.sppnet_zf import config

__all__ = ["config"]
