"""YOLOX-tiny for COCO, on images of 416 pixels, as its code's ``yolox_tiny.py`` trains it.

The mosaic changes sizes less than that of ``yolox_s.py``, batches have 320 to 640 pixels, and there is no mixup.

    python datasets/fetch_coco.py data/coco
    python tools/train.py configs/yolox_tiny.py

Result: not yet run. The released detector is published with AP 32.8 on val2017.
"""

from pathlib import Path

from detkit.config_classes import Experiment, MosaicConfig, MultiScaleConfig, load_config, presets_yolox

base = load_config(Path(__file__).with_name("yolox_s.py"), Experiment)

config = base.replace(
    name="yolox_tiny",
    model=presets_yolox.yolox_tiny(),
    augmentation=base.augmentation.replace(mosaic=MosaicConfig(scale=(0.5, 1.5)), mixup=None),
    training=base.training.replace(multi_scale=MultiScaleConfig(least=320, most=640)),
)
