"""A classifier on your own images, in a folder for each class: EfficientNet-Lite0, whose ImageNet weights come with detkit.

    python tools/train.py configs/classify_folder.py data=FOLDER
    python tools/evaluate.py runs/classify_folder-1

FOLDER has a folder for each class, or has such folders in folders called train and val. Labeled data with boxes will do as well: its
objects are cut out. Any backbone that ``detkit info backbones`` lists can be trained: ``model.backbone.name=resnet18``. What it learned
serves a detector: ``model.backbone.weights=runs/classify_folder-1``.

Result: not yet run.
"""

from detkit.config_classes import (
    AdamWConfig,
    AugmentationConfig,
    BackboneConfig,
    ClassifierConfig,
    CosineConfig,
    DataConfig,
    EMAConfig,
    Experiment,
    JitterConfig,
    LoaderConfig,
    PreprocessConfig,
    SourceConfig,
    TrainingConfig,
)

config = Experiment(
    name="classify_folder",
    model=ClassifierConfig(
        preprocess=PreprocessConfig(rule="letterbox", input_size=(224, 224), antialias=True),
        backbone=BackboneConfig(name="efficientnet_lite0", frozen_stages=0, norm="train"),
        label_smoothing=0.1,
        mixup=0.2,
    ),
    data=DataConfig(train=SourceConfig(path="data/images", fetch_command="a folder for each class, with your images, as data=FOLDER")),
    # Enlarged, so that a random part is seen.
    augmentation=AugmentationConfig(preset="light", resize=JitterConfig(size=None, scale=(1.0, 1.6))),
    loader=LoaderConfig(batch_size=32, workers=2, aspect_grouping=False),
    optimizer=AdamWConfig(lr=1e-3, reference_batch_size=32, backbone_lr_factor=0.3),
    schedule=CosineConfig(warmup_steps=100),
    training=TrainingConfig(epochs=20, clip_grad_norm=5.0, ema=EMAConfig(decay=0.998, warmup_steps=200), best_metric="top1"),
)
