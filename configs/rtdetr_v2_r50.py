"""The config ``rtdetr_v2_r50`` of the model zoo: see ``detkit/zoo/queries``."""

from detkit.zoo.queries.rtdetr_v2_r50 import config

__all__ = ["config"]
