"""Classifier of the blood cells of BCCD, cropped by their boxes: red cells, white cells and platelets.

    detkit data fetch bccd data/bccd
    detkit train classify_bccd_crops
    detkit evaluate runs/classify_bccd_crops-1 --data data/bccd --split test

Most cells are red, so ``balanced``, the mean accuracy over classes, is more informative than ``top1``.

Result: test top-1 0.998, balanced 0.995 after 3.0 core-minutes (13,440 crops seen); val top-1 0.997, balanced 0.989.
"""

from detkit.config_classes import (
    AugmentationConfig,
    EMAConfig,
    JitterConfig,
    LoaderConfig,
    PreprocessConfig,
    TrainingConfig,
)
from detkit.zoo.classifiers.classify_folder import config as base
from detkit.zoo.two_stage.faster_rcnn_lite0_bccd import config as cells

config = base.replace(
    name="classify_bccd_crops",
    model=base.model.replace(preprocess=PreprocessConfig(rule="letterbox", input_size=(96, 96), antialias=True), mixup=0.0),
    data=cells.data,
    augmentation=AugmentationConfig(preset="micrographs", resize=JitterConfig(size=None, scale=(0.9, 1.2))),
    # Repeat images with rare classes.
    loader=LoaderConfig(batch_size=32, workers=0, aspect_grouping=False, cache_megabytes=400, repeat_threshold=0.3),
    training=TrainingConfig(
        budget=3.0, threads=1, clip_grad_norm=5.0, ema=EMAConfig(decay=0.99, warmup_steps=50), best_metric="balanced", evaluations=2
    ),
)
