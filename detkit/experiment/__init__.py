"""Experiments: one config names everything, and a function does it."""

from detkit.experiment.config import Experiment, GradientStageConfig
from detkit.experiment.evaluation_run import evaluate
from detkit.experiment.results import TrainResult
from detkit.experiment.smoke import SmokeOutcome, smoke
from detkit.experiment.training_run import train

__all__ = ["Experiment", "GradientStageConfig", "SmokeOutcome", "TrainResult", "evaluate", "smoke", "train"]
