"""Detectors rebuilt from detkit's own checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from detkit.checkpoint import Checkpoint
from detkit.checkpoint.operating_points import OperatingPoints
from detkit.checkpoint.state import first_line
from detkit.config import ConfigError
from detkit.json_text import parse_json
from detkit.models import MODELS
from detkit.models.detector import Detector, DetectorConfig
from detkit.models.loading.limits import BuildLimit, check_limits
from detkit.registry import did_you_mean

COUNTER = "num_batches_tracked"
"""End of the names of counters in batch norms, which no result depends on."""


@dataclass(frozen=True, eq=False)
class LoadedDetector:
    """A detector with its weights, on the CPU, in evaluation mode.

    Attributes:
        detector: The detector.
        config: Its config.
        class_names: One per class; None for a slot without a name.
        operating_points: The scores at which it worked best on its validation data, if they are known.
    """

    detector: Detector
    config: DetectorConfig
    class_names: tuple[str | None, ...]
    operating_points: OperatingPoints | None = None


def from_checkpoint(checkpoint: Checkpoint, name: str) -> LoadedDetector:
    """Build the detector of a checkpoint.

    Raises:
        ValueError: If the kind of the model is not installed, or the tensors do not match the config.
    """
    config = model_config(checkpoint.model_json, name)
    check_limits(config, name)
    detector = _built(config, checkpoint, name)
    load_tensors(detector, checkpoint.tensors, f"checkpoint {name}: its tensors do not match its config")
    detector.hide_unnamed_classes(checkpoint.class_names)
    return LoadedDetector(detector.eval(), config, checkpoint.class_names, checkpoint.operating_points)


def _built(config: DetectorConfig, checkpoint: Checkpoint, name: str) -> Detector:
    try:
        with BuildLimit(checkpoint.tensors, name):
            return config.build(len(checkpoint.class_names))
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, AssertionError) as error:
        if str(error).startswith(f"checkpoint {name}:"):
            raise
        raise ValueError(f"checkpoint {name}: its config cannot be built: {first_line(error)}; use another checkpoint") from error


def model_config(text: str, name: str) -> DetectorConfig:
    """Parse the model config in the header of a checkpoint.

    Args:
        text: The config as JSON.
        name: Name of the checkpoint in error messages.

    Raises:
        ValueError: If the kind of the model is not installed, or the config does not match the class of that kind.
    """
    model = parse_json(text, f"checkpoint {name}: model")
    kind = str(model.get("kind")) if isinstance(model, dict) else "none"
    if kind not in MODELS:
        raise ValueError(
            f"checkpoint {name}: unknown model kind {kind!r}: {did_you_mean(kind, MODELS.names())}; "
            "install the package that provides it, or update detkit"
        )
    try:
        config: DetectorConfig = cast("type[DetectorConfig]", MODELS.get(kind)).from_json(text)
    except ConfigError as error:
        raise ConfigError(f"checkpoint {name}: its model config does not match this version of detkit: {error}") from None
    return config


def load_tensors(detector: nn.Module, tensors: Mapping[str, Tensor], error_prefix: str) -> None:
    """Load all tensors of a detector; only the counters of batch norms may be missing or unknown.

    Args:
        detector: The detector, changed in place.
        tensors: Tensors by their names in the detector.
        error_prefix: Start of the error message.

    Raises:
        ValueError: If a tensor is missing, unknown or of another shape.
    """
    own = {name: tensor for name, tensor in detector.state_dict().items() if not name.endswith(COUNTER)}
    given = {name: tensor for name, tensor in tensors.items() if not name.endswith(COUNTER)}
    missing, unknown = sorted(own.keys() - given.keys()), sorted(given.keys() - own.keys())
    if missing or unknown:
        raise ValueError(
            f"{error_prefix}: {len(missing)} tensors missing ({', '.join(missing[:3])}), {len(unknown)} unknown ({', '.join(unknown[:3])})"
        )
    for name, tensor in own.items():
        if given[name].shape != tensor.shape:
            raise ValueError(f"{error_prefix}: {name}: expected shape {tuple(tensor.shape)}, got {tuple(given[name].shape)}")
    detector.load_state_dict(given, strict=False)
