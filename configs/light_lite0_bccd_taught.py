"""The light detector of ``light_lite0_bccd``, taught by a YOLOX on the same images.

    python datasets/fetch_bccd.py data/bccd
    python tools/train.py configs/yolox_lite0_bccd.py
    python tools/train.py configs/light_lite0_bccd_taught.py

The teacher's scores and boxes at every place are learned beside the labels; what it takes to ask it is in the budget. With and without it,
three seeds each: the table in docs/distillation.md.
"""

from pathlib import Path

from detkit.config_classes import DistillationConfig, Experiment, load_config

base = load_config(Path(__file__).with_name("light_lite0_bccd.py"), Experiment)

config = base.replace(
    name="light_lite0_bccd_taught",
    distillation=DistillationConfig(
        teacher="runs/yolox_lite0_bccd-1",
        fetch_command="python tools/train.py configs/yolox_lite0_bccd.py",
        score_weight=1.0,
        box_weight=1.0,
    ),
)
