"""Light detector for COCO: EfficientNet-Lite0, a light PAN and the YOLOX head, on images of 416 pixels.

    detkit data fetch coco data/coco
    detkit train light_lite0

The backbone starts from ImageNet weights, so a sixth of YOLOX's epochs is enough.

Result: not yet run.
"""

from detkit.config_classes import AdamWConfig, CosineConfig, presets
from detkit.zoo.yolo.yolox_nano import config as base

config = base.replace(
    name="light_lite0",
    model=presets.light_lite0(),
    augmentation=base.augmentation.replace(rotation=None, mix_until_epoch=45),
    optimizer=AdamWConfig(lr=1e-3, reference_batch_size=64, backbone_lr_factor=0.3),
    schedule=CosineConfig(warmup_steps=1000),
    training=base.training.replace(epochs=50, clip_grad_norm=10.0, evaluations=10),
)
