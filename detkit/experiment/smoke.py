"""Smoke test of a config in under a minute: two steps on generated images, an evaluation, and detection with the saved checkpoint."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detkit.data import DataConfig, read_source
from detkit.data.augment import AugmentationConfig
from detkit.data.augment.config import JitterConfig, ModelSizeConfig, ShortSideConfig
from detkit.data.synthetic import make_sample
from detkit.data.tiles import TileConfig
from detkit.experiment.config import Experiment
from detkit.experiment.results import TrainResult
from detkit.experiment.training_run import train
from detkit.heads.region.classifier import RegionConfig
from detkit.heads.region.layers import TwoFCConfig
from detkit.inference import load
from detkit.models.detector import DetectorConfig
from detkit.models.one_stage import OneStageConfig
from detkit.models.rcnn import RCNNConfig
from detkit.models.semantic.unet import UNetConfig
from detkit.preprocess import PreprocessConfig
from detkit.training.config import TrainingConfig

STEPS = 2
_PROPOSALS = 20
"""Proposals per image, for detectors that take proposals."""
_WARP = 64
"""Side in pixels of R-CNN's crops: every proposal of every image passes through the whole network several times."""
_HIDDEN, _WIDE = 256, 1024
"""Outputs of the fully connected layers on regions: ``_HIDDEN`` replaces any number above ``_WIDE``. Layers of 4,096 outputs are most of a
network and of its checkpoint."""
_SAMPLES = 8
"""Sampled regions per image for such detectors: some pass each region through the whole network."""
_SIDE = 224
"""Limit of the shorter side of images in pixels, if the model does not take images of one size only."""
_NARROW = 16
"""Divisor of the channels of such a U-Net."""
_TILE = 128
"""Limit of the side of tiles in pixels; images have 192 and more."""
_MULTIPLE = 32
"""Sides of the images of such models are multiples of this."""


@dataclass(frozen=True)
class SmokeResult:
    """Result of a smoke test.

    Attributes:
        trained: Results of the two steps and their evaluation.
        image: Name of the image that the reloaded model was run on.
        detections: Number of detections on it; an untrained model may find none or many.
        seconds: Wall time.
        kept: Whether the run's folder is kept.
    """

    trained: TrainResult
    image: str
    detections: int
    seconds: float
    kept: bool


def smoke(config: Experiment) -> SmokeResult:
    """Train a config for two steps on generated data on the CPU, evaluate, save, reload and detect; no weights are needed.

    The model, the losses, the augmentation, the optimizer and everything else are those of the config, with these exceptions: images are
    smaller, batches have two images, limits are two steps, detectors that take proposals get few, VGG's layers on regions are narrower,
    and a teacher, whose weights may be missing, is left out. The files are kept only if the config names an ``output``.

    Raises:
        ValueError: If the config is invalid.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="detkit-smoke-") as folder:
        small = smoke_config(config, Path(folder))
        trained = train(small, device="cpu", progress=False)
        if small.data.val is None:
            raise ValueError("generated data: expected a validation part")
        record = read_source(small.data.val).records[0]
        detections = load(trained.best, "cpu", min_score=0.0)(str(record.path))
        return SmokeResult(trained, Path(record.path).name, len(detections), time.monotonic() - started, config.output is not None)


def smoke_config(config: Experiment, folder: Path) -> Experiment:
    """Return the config on generated data in ``folder``, small enough for two cores and a minute."""
    model = _with_few_channels(_with_few_proposals(config.model))
    if model.region_config is not None:
        model = model.replace(region=_small_region(model.region_config, few_samples=model.proposals_config is not None))
    return config.replace(
        data=_sample(config, folder).replace(tiles=_small_tiles(config.data.tiles)),
        model=model.replace(backbone=model.backbone.replace(weights=None), preprocess=_small(model)),
        augmentation=_small_augmentation(config.augmentation),
        loader=config.loader.replace(batch_size=2, workers=0, cache_megabytes=0.0),
        training=_short(config.training),
        stages=tuple(_short_stage(stage) for stage in config.stages),
        evaluation=config.evaluation.replace(max_images=2, drawn_images=2),
        weights=None,
        distillation=None,
        output=config.output or str(folder / "run"),
    )


def _sample(config: Experiment, folder: Path) -> DataConfig:
    return make_sample(folder / "data", images=8, val_images=2, seed=config.seed, masks=config.model.learns_masks)


def _small_tiles(tiles: TileConfig | None) -> TileConfig | None:
    """Return tiles smaller than the generated images."""
    return tiles and tiles.replace(size=min(tiles.size, _TILE))


def _with_few_proposals(model: DetectorConfig) -> DetectorConfig:
    """Return the config of a detector that takes proposals, with few of them, and with small crops."""
    if model.proposals_config is None:
        return model
    model = model.replace(proposals=model.proposals_config.replace(mode="single", max_proposals=_PROPOSALS, cache=None))
    if isinstance(model, RCNNConfig) and model.warp_size > _WARP:
        model = model.replace(warp_size=_WARP, context_pixels=model.context_pixels * _WARP // model.warp_size)
    return model


def _with_few_channels(model: DetectorConfig) -> DetectorConfig:
    """Return the config of a model; the U-Net of the paper, of 31 million parameters, with narrower maps."""
    if not isinstance(model, UNetConfig) or model.paper is None:
        return model
    narrow = tuple(max(1, channels // _NARROW) for channels in model.paper.channels)
    return model.replace(paper=model.paper.replace(channels=narrow))


def _small_region(region: RegionConfig, *, few_samples: bool) -> RegionConfig:
    """Return settings of a second stage with narrower layers, few samples, and embeddings that need no checkpoint."""
    if isinstance(region.head, TwoFCConfig) and region.head.hidden > _WIDE:
        region = region.replace(head=region.head.replace(hidden=_HIDDEN))
    if region.text is not None:
        region = region.replace(text=region.text.replace(embeddings=None))
    return region.replace(samples_per_image=min(region.samples_per_image, _SAMPLES)) if few_samples else region


def _short_stage(stage: Any) -> Any:
    training = getattr(stage, "training", None)
    return stage if training is None else stage.replace(training=_short(training))


def _short(training: TrainingConfig) -> TrainingConfig:
    limits = {"steps": STEPS, "epochs": None, "budget": None, "schedule_by": "auto"}
    ema = training.ema and training.ema.replace(restart=None)  # a restart needs an evaluation before it
    return training.replace(**limits, accumulation_steps=1, evaluations=1, log_every=1, early_stopping=None, ema=ema)


def _small(model: DetectorConfig) -> PreprocessConfig:
    """Limit the image size; models that take images of one size only keep theirs."""
    preprocess = model.preprocess
    if preprocess.rule == "short_side":
        return preprocess.replace(short_side=min(preprocess.short_side, _SIDE), long_side=min(preprocess.long_side, 2 * _SIDE))
    size, takes_any = preprocess.input_size, model.segments or (isinstance(model, OneStageConfig) and not model.has_fixed_size)
    if size is None or not takes_any or min(size) <= _SIDE:
        return preprocess
    height, width = (max(_MULTIPLE, round(side * _SIDE / min(size) / _MULTIPLE) * _MULTIPLE) for side in size)
    return preprocess.replace(input_size=(height, width))


def _small_augmentation(augmentation: AugmentationConfig) -> AugmentationConfig:
    resize = augmentation.resize
    if isinstance(resize, ShortSideConfig):
        return augmentation.replace(resize=ModelSizeConfig())
    if isinstance(resize, JitterConfig) and resize.size is not None:
        return augmentation.replace(resize=resize.replace(size=(_SIDE, _SIDE)))
    return augmentation
