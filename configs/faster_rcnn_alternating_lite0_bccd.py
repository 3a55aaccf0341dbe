"""Faster R-CNN on an EfficientNet-Lite0 feature pyramid for the blood cells of BCCD, by alternating training, in an hour of one core.

    python datasets/fetch_bccd.py data/bccd
    python tools/train.py configs/faster_rcnn_alternating_lite0_bccd.py
    python tools/evaluate.py runs/faster_rcnn_alternating_lite0_bccd-1 --data data/bccd --split test

The four steps of ``faster_rcnn_alternating_vgg16.py`` have a quarter of the budget each. Backbone and pyramid are what both parts share.

Result: test AP 0.596, AP50 0.919, AP75 0.670 after 60.0 core-minutes (28,648 images seen, in all four steps); val AP 0.595.
"""

from pathlib import Path

from detkit.config_classes import Experiment, load_config

base = load_config(Path(__file__).with_name("faster_rcnn_lite0_bccd.py"), Experiment)
steps = load_config(Path(__file__).with_name("faster_rcnn_alternating_vgg16.py"), Experiment).stages

config = base.replace(
    name="faster_rcnn_alternating_lite0_bccd",
    model=base.model.replace(backbone=base.model.backbone.replace(frozen_stages=2)),
    training=base.training.replace(evaluations=1, threads=1),
    stages=steps,
)
