"""The config ``dfine_finetune`` of the model zoo: see ``detkit/zoo/queries``."""

from detkit.zoo.queries.dfine_finetune import config

__all__ = ["config"]
