"""The light detector for the blood cells of BCCD, from the detector that comes with detkit, in ten minutes of one core.

    python datasets/fetch_bccd.py data/bccd
    python tools/train.py configs/embedded_bccd.py
    python tools/evaluate.py runs/embedded_bccd-1 --data data/bccd --split test

The settings are those of ``light_lite0_bccd.py``, which starts from ImageNet. What the start gives, with three seeds each: the table in
docs/training_on_your_own_data.md.

Result: test AP 0.619, AP50 0.922, AP75 0.701 after 10.0 core-minutes (2,352 images seen); val AP 0.628.
"""

from pathlib import Path

from detkit.config_classes import Experiment, load_config
from detkit.weights import EMBEDDED

WIDTH = 128  # of the detector that it starts from

base = load_config(Path(__file__).with_name("light_lite0_bccd.py"), Experiment)

config = base.replace(
    name="embedded_bccd",
    weights=EMBEDDED,
    model=base.model.replace(neck=base.model.neck.replace(out_channels=WIDTH), head=base.model.head.replace(channels=WIDTH)),
    training=base.training.replace(budget=10.0),
)
