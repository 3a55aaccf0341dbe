"""The light detector for COCO: EfficientNet-Lite0, a light path aggregation network and YOLOX's head, on images of 416 pixels.

    python datasets/fetch_coco.py data/coco
    python tools/train.py configs/light_lite0.py

The backbone starts from ImageNet's weights, so a sixth of YOLOX's epochs will do.

Result: not yet run.
"""

from pathlib import Path

from detkit.config_classes import AdamWConfig, CosineConfig, Experiment, load_config, presets_yolox

base = load_config(Path(__file__).with_name("yolox_nano.py"), Experiment)

config = base.replace(
    name="light_lite0",
    model=presets_yolox.light_lite0(),
    augmentation=base.augmentation.replace(rotation=None, mix_until_epoch=45),
    optimizer=AdamWConfig(lr=1e-3, reference_batch_size=64, backbone_lr_factor=0.3),
    schedule=CosineConfig(warmup_steps=1000),
    training=base.training.replace(epochs=50, clip_grad_norm=10.0, evaluations=10),
)
