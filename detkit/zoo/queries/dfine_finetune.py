"""Fine-tune the released D-FINE-S on your own images, on a GPU.

    detkit models download dfine_s
    detkit train dfine_finetune --data FOLDER

``detkit train FOLDER`` uses it on machines with a GPU. Strong augmentation stops for the last fifth of the training.

Result: not yet run. The released weights are published with AP 48.5 on COCO val2017.
"""

from detkit.config_classes import EMAConfig, Experiment, FlatCosineConfig, LoaderConfig, TrainingConfig, presets
from detkit.zoo.queries._schedules import augmentation_until, scales
from detkit.zoo.queries.dfine_s import config as base

STOP = 0.8

config = Experiment(
    name="dfine_finetune",
    model=presets.dfine_s(),
    weights="dfine_s",
    augmentation=augmentation_until(STOP),
    loader=LoaderConfig(batch_size=16, workers=4, aspect_grouping=False),
    optimizer=base.optimizer.replace(lr=1e-4, reference_batch_size=16),
    schedule=FlatCosineConfig(warmup_steps=200, flat_until=0.5, cosine_until=STOP, final_factor=0.1),
    training=TrainingConfig(epochs=40, clip_grad_norm=0.1, multi_scale=scales(6, STOP), ema=EMAConfig(decay=0.999, warmup_steps=200)),
)
