"""Faster R-CNN on MobileNetV3-Large, torchvision's light one, for COCO.

    python datasets/fetch_coco.py data/coco
    detkit weights download mobilenet_v3_large
    python tools/train.py configs/fpn_mobilenet.py

Result: not yet run. torchvision publishes AP 32.8 on val2017 for this model.
"""

from pathlib import Path

from detkit.config_classes import AugmentationConfig, Experiment, TrainingConfig, load_config, presets

base = load_config(Path(__file__).with_name("fpn_r50.py"), Experiment)

config = base.replace(
    name="fpn_mobilenet",
    model=presets.fasterrcnn_mobilenet_v3_large_fpn(),
    augmentation=AugmentationConfig(preset="multiscale"),
    training=TrainingConfig(epochs=26),
)
