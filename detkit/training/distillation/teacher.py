"""The teacher of a distillation: a trained model whose predictions are learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from detkit.inference.detectors import load_detector
from detkit.inference.optimize import optimize
from detkit.models.detector import Detector
from detkit.preprocess import PreprocessConfig
from detkit.structures import Batch
from detkit.training.distillation.config import DistillationConfig


@dataclass(frozen=True, eq=False)
class Teacher:
    """A detector that supplies predictions to learn from; it is neither trained nor saved.

    Attributes:
        detector: The detector, in evaluation mode.
        preprocess: Preprocessing of its images.
        class_names: Its classes; None for a slot without a name.
        name: Its name in messages.
    """

    detector: Detector
    preprocess: PreprocessConfig
    class_names: tuple[str | None, ...]
    name: str = "teacher"

    @classmethod
    def load(cls, config: DistillationConfig, device: torch.device) -> Self:
        """Load the teacher that a config names, with its batch norms folded.

        Raises:
            FileNotFoundError: If its weights are not found; the message has the command that gets them, if one is known.
            ValueError: If no teacher is named, or its file is not a valid checkpoint.
        """
        if not config.teacher:
            raise ValueError("distillation.teacher: no teacher is named; give a checkpoint, a run folder or a name from `detkit models`")
        try:
            loaded = load_detector(config.teacher, config.teacher_file)
        except FileNotFoundError as error:
            hint = f"; get it with: {config.fetch_command}" if config.fetch_command else ""
            raise FileNotFoundError(f"distillation.teacher: {error}{hint}") from None
        detector = optimize(loaded.detector.to(device), torch.float32)
        return cls(detector, loaded.config.preprocess, loaded.class_names, config.teacher)

    def prepare(self, images: Sequence[Tensor], student: PreprocessConfig) -> Batch:
        """Convert images of the student to the teacher's channel order, value range and normalization."""
        flip = self.preprocess.channel_order != student.channel_order
        factor = self.preprocess.max_value / student.max_value
        return self.detector.prepare([(image.flip(-3) if flip else image) * factor if flip or factor != 1 else image for image in images])
