"""SSDLite320 on a MobileNetV3-Large of reduced tail, for COCO, from scratch, with the numbers of torchvision's reference training.

    python datasets/fetch_coco.py data/coco
    python tools/train.py configs/ssdlite320_mobilenet_v3.py

From ImageNet's weights: ``model.backbone.name=mobilenet_v3_large model.backbone.weights=default``, which has the whole tail.

Result: not yet run. torchvision publishes AP 21.3 on val2017 for this model and schedule.
"""

from pathlib import Path

from detkit.config_classes import (
    AugmentationConfig,
    CosineConfig,
    Experiment,
    IoUCropConfig,
    LoaderConfig,
    SGDConfig,
    TrainingConfig,
    load_config,
    presets_ssd,
)

base = load_config(Path(__file__).with_name("fpn_r50.py"), Experiment)

config = base.replace(
    name="ssdlite320_mobilenet_v3",
    model=presets_ssd.ssdlite320_mobilenet_v3_large(),
    augmentation=AugmentationConfig(preset="flip", crop=IoUCropConfig()),
    loader=LoaderConfig(batch_size=192, workers=8, skip_empty=True),
    optimizer=SGDConfig(lr=0.15, reference_batch_size=192, weight_decay=4e-5),
    schedule=CosineConfig(final_factor=0.0),
    training=TrainingConfig(epochs=660),
)
