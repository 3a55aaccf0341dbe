"""U-Net on EfficientNet-Lite0, whose ImageNet weights are installed with detkit: the class of every pixel of your own images.

    detkit train unet_lite0 data=FOLDER
    detkit evaluate runs/unet_lite0-1
    detkit detect photo.jpg --model runs/unet_lite0-1 --label-maps maps

FOLDER is labeled data with masks in any format (polygons, run lengths, mask images): its objects become classes of pixels, and all other
pixels are background. Where each pixel has a class, ``model.background=false`` leaves background out. Any backbone of
``detkit models list --kind backbone`` can be trained: ``model.backbone.name=resnet18``.

Result: not yet run.
"""

from detkit.config_classes import (
    AdamWConfig,
    AugmentationConfig,
    BackboneConfig,
    CosineConfig,
    DataConfig,
    EMAConfig,
    Experiment,
    JitterConfig,
    LoaderConfig,
    PixelLossConfig,
    PreprocessConfig,
    SourceConfig,
    TrainingConfig,
    UNetConfig,
    UNetDecoderConfig,
)

config = Experiment(
    name="unet_lite0",
    model=UNetConfig(
        preprocess=PreprocessConfig(rule="letterbox", input_size=(320, 320), antialias=True),
        backbone=BackboneConfig(name="efficientnet_lite0", levels=("c1", "c2", "c3", "c4", "c5"), frozen_stages=0, norm="train"),
        decoder=UNetDecoderConfig(channels=(128, 64, 48, 32)),
        losses=PixelLossConfig(dice_weight=1.0),
    ),
    data=DataConfig(train=SourceConfig(path="data/images", fetch_command="data=FOLDER, labeled data with masks of your own")),
    augmentation=AugmentationConfig(preset="light", resize=JitterConfig(size=None, scale=(0.7, 1.6))),
    loader=LoaderConfig(batch_size=8, workers=2, aspect_grouping=False),
    optimizer=AdamWConfig(lr=1e-3, reference_batch_size=8, backbone_lr_factor=0.3),
    schedule=CosineConfig(warmup_steps=50),
    training=TrainingConfig(epochs=30, clip_grad_norm=5.0, ema=EMAConfig(decay=0.998, warmup_steps=100), best_metric="miou"),
)
