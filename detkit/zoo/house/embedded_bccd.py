"""Light detector for the blood cells of BCCD, fine-tuned from the detector that ships with detkit, in ten core-minutes.

    detkit data fetch bccd data/bccd
    detkit train embedded_bccd
    detkit evaluate runs/embedded_bccd-1 --data data/bccd --split test

The settings are those of ``light_lite0_bccd``, which starts from ImageNet weights. A comparison of both starts with three seeds each is in
docs/training_on_your_own_data.md.

Result: test AP 0.619, AP50 0.922, AP75 0.701 after 10.0 core-minutes (2,352 images seen); val AP 0.628.
"""

from detkit.weights import EMBEDDED
from detkit.zoo.yolo.light_lite0_bccd import config as base
from detkit.zoo.yolo.light_lite0_bccd import model as base_model

WIDTH = 128  # channels of the detector that it starts from

config = base.replace(
    name="embedded_bccd",
    weights=EMBEDDED,
    model=base_model.replace(neck=base_model.neck.replace(out_channels=WIDTH), head=base_model.head.replace(channels=WIDTH)),
    training=base.training.replace(budget=10.0),
)
