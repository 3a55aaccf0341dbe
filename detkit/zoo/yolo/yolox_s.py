"""YOLOX-s for COCO, trained as in its code (``yolox_base.py``).

    detkit data fetch coco data/coco
    detkit train yolox_s

The image size of a batch changes every ten steps, from 480 to 800 pixels. The released code raises the learning rate with the
square of the step for the first 5 epochs, where it rises linearly here, and keeps it constant for the last 15. ``weights=yolox_s`` starts
from the released detector. Several GPUs: ``torchrun --nproc_per_node 8 -m detkit train yolox_s``.

Result: not yet run. The released detector is published with AP 40.5 on val2017.
"""

from detkit.config_classes import (
    AugmentationConfig,
    CosineConfig,
    DataConfig,
    EMAConfig,
    Experiment,
    LoaderConfig,
    MosaicConfig,
    MultiScaleConfig,
    SGDConfig,
    SourceConfig,
    TrainingConfig,
    presets,
)

FETCH_COMMAND = "detkit data fetch coco data/coco"

config = Experiment(
    name="yolox_s",
    model=presets.yolox_s(),
    data=DataConfig(
        train=SourceConfig(
            path="data/coco/annotations/instances_train2017.json", images="data/coco/train2017", fetch_command=FETCH_COMMAND
        ),
        val=SourceConfig(path="data/coco/annotations/instances_val2017.json", images="data/coco/val2017", fetch_command=FETCH_COMMAND),
    ),
    augmentation=AugmentationConfig(preset="yolox", mosaic=MosaicConfig(scale=(0.1, 2.0)), mix_until_epoch=285),
    loader=LoaderConfig(batch_size=64, workers=8),
    optimizer=SGDConfig(lr=0.01, reference_batch_size=64, nesterov=True, weight_decay=5e-4),
    schedule=CosineConfig(warmup_steps=9240, warmup_fraction=5 / 300, final_factor=0.05),
    training=TrainingConfig(epochs=300, multi_scale=MultiScaleConfig(min_size=480, max_size=800), ema=EMAConfig(), evaluations=30),
)
