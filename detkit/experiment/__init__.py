"""Experiments: one config names everything, and a function does it."""

from detkit.experiment.config import Experiment, GradientStageConfig
from detkit.experiment.results import TrainResult
from detkit.experiment.train import train

__all__ = ["Experiment", "GradientStageConfig", "TrainResult", "train"]
