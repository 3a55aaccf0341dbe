"""YOLOX-tiny for COCO, on pictures of 416 pixels: the mosaic changes sizes less, and no mixup (its code's ``yolox_tiny.py``).

    python datasets/fetch_coco.py data/coco
    python tools/train.py configs/yolox_tiny.py

Result: not yet run. The released detector is published with AP 32.8 on val2017.
"""

from pathlib import Path

from detkit.configs import Experiment, MosaicConfig, load_config, presets_yolox

base = load_config(Path(__file__).with_name("yolox_s.py"), Experiment)

config = base.replace(
    name="yolox_tiny",
    model=presets_yolox.yolox_tiny(),
    augmentation=base.augmentation.replace(mosaic=MosaicConfig(scale=(0.5, 1.5)), mixup=None),
)
