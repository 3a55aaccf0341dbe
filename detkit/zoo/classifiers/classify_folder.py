"""Classifier for your own images, one folder per class: EfficientNet-Lite0, whose ImageNet weights are installed with detkit.

    detkit train classify_folder data=FOLDER
    detkit evaluate runs/classify_folder-1

FOLDER has one subfolder per class, or two subfolders ``train`` and ``val`` with one subfolder per class each. Labeled data with boxes also
works: its objects are cropped. Any backbone of ``detkit models list --kind backbone`` can be trained: ``model.backbone.name=resnet18``.
The trained backbone can initialize a detector: ``model.backbone.weights=runs/classify_folder-1``.

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
    data=DataConfig(
        train=SourceConfig(path="data/images", fetch_command="data=FOLDER, a folder of your own with one subfolder of images per class")
    ),
    # Enlarged images are cropped at a random position.
    augmentation=AugmentationConfig(preset="light", resize=JitterConfig(size=None, scale=(1.0, 1.6))),
    loader=LoaderConfig(batch_size=32, workers=2, aspect_grouping=False),
    optimizer=AdamWConfig(lr=1e-3, reference_batch_size=32, backbone_lr_factor=0.3),
    schedule=CosineConfig(warmup_steps=100),
    training=TrainingConfig(epochs=20, clip_grad_norm=5.0, ema=EMAConfig(decay=0.998, warmup_steps=200), best_metric="top1"),
)
