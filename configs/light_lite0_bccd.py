"""The light detector for the blood cells of BCCD, in an hour of one core.

    python datasets/fetch_bccd.py data/bccd
    python tools/train.py configs/light_lite0_bccd.py
    python tools/evaluate.py runs/light_lite0_bccd-1 --data data/bccd --split test

Result: test AP 0.583, AP50 0.918, AP75 0.647 after 59.9 core-minutes (5,380 images seen); val AP 0.613.
"""

from pathlib import Path

from detkit.config_classes import AdamWConfig, Experiment, load_config, presets_yolox

base = load_config(Path(__file__).with_name("faster_rcnn_lite0_bccd.py"), Experiment)
light = presets_yolox.light_lite0()

config = base.replace(
    name="light_lite0_bccd",
    # Images of one size need no letterbox. Some hundred steps are few: objects have more places, from the first step on.
    model=light.replace(
        preprocess=base.model.preprocess,
        # The first stages cost most and gain least.
        backbone=light.backbone.replace(frozen_stages=2),
        head=light.head.replace(prior_side=4.0, center_radius=2.5, center_inside_box=True),
    ),
    optimizer=AdamWConfig(lr=2e-3, reference_batch_size=4, backbone_lr_factor=0.3),
    training=base.training.replace(clip_grad_norm=20.0, threads=1),
)
