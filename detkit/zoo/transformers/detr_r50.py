"""DETR on ResNet-50, for COCO: the 300-epoch schedule of the released code.

    detkit data fetch coco data/coco
    detkit models download resnet50
    detkit train detr_r50

DETR learns slowly and needs much data, so start from the released detector on data of your own:
``detkit models download detr_r50`` and ``detkit train detr_r50 data=FOLDER weights=detr_r50 training.epochs=50``.
Several GPUs: ``torchrun --nproc_per_node 8 -m detkit train detr_r50``.

One difference from the released code: half of the images are cropped to .6 to 1 of their sides, where the released code resizes them to a
short side of 400 to 600 pixels and crops them to 384 to 600.

Result: not yet run. The released code is published with AP 39.5 after 150 such epochs and AP 42.0 after 500 (val2017).
"""

from detkit.config_classes import (
    AdamWConfig,
    AugmentationConfig,
    DataConfig,
    Experiment,
    IoUCropConfig,
    LoaderConfig,
    MultistepConfig,
    ShortSideConfig,
    SourceConfig,
    TrainingConfig,
    presets,
)

FETCH_COMMAND = "detkit data fetch coco data/coco"

config = Experiment(
    name="detr_r50",
    model=presets.detr_r50(),
    data=DataConfig(
        train=SourceConfig(
            path="data/coco/annotations/instances_train2017.json", images="data/coco/train2017", fetch_command=FETCH_COMMAND
        ),
        val=SourceConfig(path="data/coco/annotations/instances_val2017.json", images="data/coco/val2017", fetch_command=FETCH_COMMAND),
    ),
    augmentation=AugmentationConfig(
        preset="flip",
        crop=IoUCropConfig(probability=0.5, min_ious=(0.0,), min_scale=0.6),
        resize=ShortSideConfig(sides=tuple(range(480, 801, 32))),
    ),
    loader=LoaderConfig(batch_size=16, workers=4),
    optimizer=AdamWConfig(lr=1e-4, reference_batch_size=16, weight_decay=1e-4, decay_norms_and_biases=True, backbone_lr_factor=0.1),
    schedule=MultistepConfig(milestones=(2 / 3,), warmup_steps=0),
    training=TrainingConfig(epochs=300, clip_grad_norm=0.1),
)
