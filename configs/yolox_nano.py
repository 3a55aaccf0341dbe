"""YOLOX-nano for COCO, on images of 416 pixels: as ``yolox_tiny.py``, with a mosaic for every second image (``nano.py`` of its code).

    python datasets/fetch_coco.py data/coco
    python tools/train.py configs/yolox_nano.py

Result: not yet run. The released detector is published with AP 25.8 on val2017.
"""

from pathlib import Path

from detkit.config_classes import Experiment, MosaicConfig, load_config, presets_yolox

base = load_config(Path(__file__).with_name("yolox_tiny.py"), Experiment)

config = base.replace(
    name="yolox_nano",
    model=presets_yolox.yolox_nano(),
    augmentation=base.augmentation.replace(mosaic=MosaicConfig(probability=0.5, scale=(0.5, 1.5))),
)
