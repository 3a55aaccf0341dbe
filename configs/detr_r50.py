"""DETR on a ResNet-50, for COCO: the 300 epochs of the released code.

    python datasets/fetch_coco.py data/coco
    detkit weights download resnet50
    python tools/train.py configs/detr_r50.py

On data of your own start from the released detector, for DETR learns slowly and from much data:
``detkit weights download detr_r50`` and ``python tools/train.py configs/detr_r50.py data=FOLDER weights=detr_r50 training.epochs=50``.
Several GPUs: ``torchrun --nproc_per_node 8 -m detkit train configs/detr_r50.py``.

It differs from the released code in one thing: half of the images are cut to .6 to 1 of their sides, where there they are resized to
a short side of 400 to 600 pixels and cut to 384 to 600.

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
    presets_detr,
)

FETCH = "python datasets/fetch_coco.py data/coco"

config = Experiment(
    name="detr_r50",
    model=presets_detr.detr_r50(),
    data=DataConfig(
        train=SourceConfig(path="data/coco/annotations/instances_train2017.json", images="data/coco/train2017", fetch_command=FETCH),
        val=SourceConfig(path="data/coco/annotations/instances_val2017.json", images="data/coco/val2017", fetch_command=FETCH),
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
