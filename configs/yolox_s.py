"""YOLOX-s for COCO, as its code trains it (``yolox_base.py``).

    python datasets/fetch_coco.py data/coco
    python tools/train.py configs/yolox_s.py

Every ten steps batches get another size, of 480 to 800 pixels. The code lets the rate rise with the square of the step for the 5 epochs in
which it rises evenly here, and holds it still for the last 15. ``weights=yolox_s`` starts from the released detector.
Several GPUs: ``torchrun --nproc_per_node 8 -m detkit train configs/yolox_s.py``.

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
    presets_yolox,
)

FETCH = "python datasets/fetch_coco.py data/coco"

config = Experiment(
    name="yolox_s",
    model=presets_yolox.yolox_s(),
    data=DataConfig(
        train=SourceConfig(path="data/coco/annotations/instances_train2017.json", images="data/coco/train2017", fetch_command=FETCH),
        val=SourceConfig(path="data/coco/annotations/instances_val2017.json", images="data/coco/val2017", fetch_command=FETCH),
    ),
    augmentation=AugmentationConfig(preset="yolox", mosaic=MosaicConfig(scale=(0.1, 2.0)), mix_until_epoch=285),
    loader=LoaderConfig(batch_size=64, workers=8),
    optimizer=SGDConfig(lr=0.01, reference_batch_size=64, nesterov=True, weight_decay=5e-4),
    schedule=CosineConfig(warmup_steps=9240, warmup_fraction=5 / 300, final_factor=0.05),
    training=TrainingConfig(epochs=300, multi_scale=MultiScaleConfig(least=480, most=800), ema=EMAConfig(), evaluations=30),
)
