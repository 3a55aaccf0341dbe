"""Experiments: train, evaluate or smoke-test a model from one config that describes everything."""

from detkit.experiment.calibration import calibrate
from detkit.experiment.config import Experiment, GradientStageConfig
from detkit.experiment.evaluation_run import evaluate
from detkit.experiment.results import TrainResult
from detkit.experiment.smoke import SmokeResult, smoke
from detkit.experiment.training_run import train

__all__ = ["Experiment", "GradientStageConfig", "SmokeResult", "TrainResult", "calibrate", "evaluate", "smoke", "train"]
