"""Light detector of ``light_lite0_bccd``, distilled from a YOLOX that was trained on the same images.

    detkit data fetch bccd data/bccd
    detkit train yolox_lite0_bccd
    detkit train light_lite0_bccd_taught
    detkit evaluate runs/light_lite0_bccd_taught-1 --data data/bccd --split test

The student learns the teacher's scores and boxes at every location in addition to the labels. The teacher's forward passes count in the
budget.

Result: test AP 0.542, AP50 0.909 with ``training.budget=10`` (means of three seeds), against 0.536 and 0.901 without the teacher;
docs/distillation.md has the table.
"""

from detkit.config_classes import DistillationConfig
from detkit.zoo.yolo.light_lite0_bccd import config as base

config = base.replace(
    name="light_lite0_bccd_taught",
    distillation=DistillationConfig(
        teacher="runs/yolox_lite0_bccd-1",
        fetch_command="detkit train yolox_lite0_bccd",
        score_weight=1.0,
        box_weight=1.0,
    ),
)
