"""torchvision's second-generation Faster R-CNN (batch norm everywhere, deeper heads), for COCO, with large-scale jitter.

    python datasets/fetch_coco.py data/coco
    detkit weights download resnet50_v2
    python tools/train.py configs/fpn_r50_v2.py

Result: not yet run. torchvision publishes AP 46.7 on val2017 for this model after a much longer training.
"""

from pathlib import Path

from detkit.config_classes import AdamWConfig, AugmentationConfig, CosineConfig, EMAConfig, Experiment, TrainingConfig, load_config, presets

base = load_config(Path(__file__).with_name("fpn_r50.py"), Experiment)

config = base.replace(
    name="fpn_r50_v2",
    model=presets.fasterrcnn_resnet50_fpn_v2(),
    augmentation=AugmentationConfig(preset="lsj"),
    optimizer=AdamWConfig(lr=1e-4),
    schedule=CosineConfig(),
    training=TrainingConfig(epochs=50, ema=EMAConfig()),
)
