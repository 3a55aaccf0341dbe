"""The config ``rtdetr_v2_r101`` of the model zoo: see ``detkit/zoo/queries``."""

from detkit.zoo.queries.rtdetr_v2_r101 import config

__all__ = ["config"]
