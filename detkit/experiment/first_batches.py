"""The first training batches as the model will see them, without training."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from detkit.data.loader import SampleBatch, image_seed
from detkit.experiment.build import build_parts, read_images, run_data
from detkit.experiment.config import Experiment, GradientStageConfig
from detkit.experiment.training_run import with_batch_size
from detkit.preprocess import as_image
from detkit.structures import Size, Targets
from detkit.training.config import TrainingConfig
from detkit.training.drawings import draw_inputs, draw_sheets
from detkit.training.multi_scale import batch_inputs
from detkit.training.process.distributed import Processes, resolve_device
from detkit.training.process.random_state import preserved_random_state, seed_everything

if TYPE_CHECKING:
    from detkit.models.detector import Detector


@dataclass(frozen=True, eq=False)
class ModelInputs:
    """A training batch as the model sees it, its normalization undone.

    Attributes:
        images: ``(3, H, W)`` RGB in [0, 1], augmented, resized, and padded at the right and the bottom.
        sizes: ``(height, width)`` of each image without the padding.
        targets: The objects of each image.
        batch: The batch of the loader.
        class_names: Class names by label.
    """

    images: tuple[Tensor, ...]
    sizes: tuple[Size, ...]
    targets: tuple[Targets, ...]
    batch: SampleBatch
    class_names: tuple[str, ...]

    def draw(self, folder: Path, stem: str) -> list[Path]:
        """Write the images with their targets onto PNG sheets, and return the files."""
        drawn = draw_inputs(self.images, self.sizes, self.targets, self.class_names)
        return draw_sheets(folder, stem, drawn, self._captions())

    def _captions(self) -> Sequence[str]:
        labeled = self.batch.is_labeled or (True,) * len(self.batch)
        rows = zip(self.batch.paths, self.sizes, labeled, strict=True)
        return [f"{Path(path).name}  {w} x {h}{'' if known else '  unlabeled'}" for path, (h, w), known in rows]


def first_batches(config: Experiment, count: int, device: str = "auto") -> Iterator[ModelInputs]:
    """Yield the first batches of a training: the same images as in a run of this config with one process.

    Initial weights are not loaded, no folder is created, and nothing is learned.

    Raises:
        FileNotFoundError: If data are not found.
        ValueError: If the config or the data are invalid.
    """
    with preserved_random_state():
        seed_everything(config.seed)
        parts = build_parts(config, read_images(config, load_weights=False), load_weights=False)
        config = with_batch_size(config, parts, resolve_device(device, 0, 1), Processes())
    cpu = torch.device("cpu")
    detector = parts.detector.to(cpu)
    batches = cast("Generator[SampleBatch]", iter(run_data(config, parts, Processes(), cpu).batches(0)))
    with closing(batches):  # ends the worker processes
        for index in range(count):
            yield _inputs(config, detector, next(batches), index, parts.class_names)


def _inputs(config: Experiment, detector: Detector, batch: SampleBatch, index: int, class_names: tuple[str, ...]) -> ModelInputs:
    """Return a batch as the trainer gives it to the detector in the step that uses it."""
    training = _training(config)
    step, preprocess = index // training.accumulation_steps, config.model.preprocess
    side = training.multi_scale.side(config.seed, step) if training.multi_scale else None
    images, targets, _ = batch_inputs(batch, preprocess, torch.device("cpu"), side)
    with torch.no_grad():
        prepared = detector.prepare(images, [image_seed(config.seed, step, image_id) for image_id in batch.image_ids])
        pixels = prepared.images * detector.std + detector.mean
    return ModelInputs(tuple(as_image(image, preprocess) for image in pixels), prepared.sizes, tuple(targets), batch, class_names)


def _training(config: Experiment) -> TrainingConfig:
    """Return the settings of the first stage of gradient steps."""
    own = (stage.training for stage in config.stages if isinstance(stage, GradientStageConfig))
    return next(own, None) or config.training
