"""YOLOX-l for COCO; everything but the model as in ``yolox_s.py``.

    python datasets/fetch_coco.py data/coco
    python tools/train.py configs/yolox_l.py

Result: not yet run. The released detector is published with AP 49.7 on val2017.
"""

from pathlib import Path

from detkit.config_classes import Experiment, load_config, presets_yolox

base = load_config(Path(__file__).with_name("yolox_s.py"), Experiment)

config = base.replace(name="yolox_l", model=presets_yolox.yolox_l())
