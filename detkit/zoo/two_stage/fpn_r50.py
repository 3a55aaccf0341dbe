"""Faster R-CNN on a ResNet-50 FPN, for COCO: the 1x schedule with the numbers of torchvision's reference training.

    detkit data fetch coco data/coco
    detkit models download resnet50
    detkit train fpn_r50

On data of your own: ``detkit train fpn_r50 data=FOLDER``, and ``weights=fasterrcnn_resnet50_fpn`` to start from torchvision's detector.
Several GPUs: ``torchrun --nproc_per_node 8 -m detkit train fpn_r50``.

Result: not yet run. The same model and schedule are published with AP 37.0 on val2017 (torchvision) and 37.9 (detectron2).
"""

from detkit.config_classes import (
    AugmentationConfig,
    DataConfig,
    Experiment,
    LoaderConfig,
    MultistepConfig,
    SGDConfig,
    SourceConfig,
    TrainingConfig,
    presets,
)

FETCH_COMMAND = "detkit data fetch coco data/coco"

config = Experiment(
    name="fpn_r50",
    model=presets.fasterrcnn_resnet50_fpn(),
    data=DataConfig(
        train=SourceConfig(
            path="data/coco/annotations/instances_train2017.json", images="data/coco/train2017", fetch_command=FETCH_COMMAND
        ),
        val=SourceConfig(path="data/coco/annotations/instances_val2017.json", images="data/coco/val2017", fetch_command=FETCH_COMMAND),
    ),
    augmentation=AugmentationConfig(preset="flip"),
    loader=LoaderConfig(batch_size=16, workers=4, skip_empty=True),
    optimizer=SGDConfig(lr=0.02, momentum=0.9, weight_decay=1e-4),
    schedule=MultistepConfig(warmup_steps=1000),
    training=TrainingConfig(epochs=12),
)
