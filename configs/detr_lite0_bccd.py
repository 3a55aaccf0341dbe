"""A small DETR on an EfficientNet-Lite0, for the blood cells of BCCD, in an hour of one core.

    python datasets/fetch_bccd.py data/bccd
    python tools/train.py configs/detr_lite0_bccd.py
    python tools/evaluate.py runs/detr_lite0_bccd-1 --data data/bccd --split test

205 images and some ten thousand steps are far from what DETR needs (300,000 steps, its authors advise); it is here to be compared.
Images of half the size, read at stride 16, a backbone that stays as it is and a narrow transformer let it see more of them. In float32,
where bfloat16 is not fast, it sees fewer.

Result: test AP 0.258, AP50 0.523, AP75 0.216 after 60.0 core-minutes (94,432 images seen); val AP 0.282.
"""

from pathlib import Path

from detkit.config_classes import AdamWConfig, BackboneConfig, CosineConfig, Experiment, PreprocessConfig, load_config, presets_detr

base = load_config(Path(__file__).with_name("faster_rcnn_lite0_bccd.py"), Experiment)
small = presets_detr.detr_small()

config = base.replace(
    name="detr_lite0_bccd",
    model=small.replace(
        preprocess=PreprocessConfig(short_side=240, long_side=400),
        backbone=BackboneConfig(name="efficientnet_lite0", frozen_stages=4, levels=("c4",)),
        # In so few steps little is learned by heart, and narrow layers see more images.
        head=small.head.replace(channels=128, attention_heads=4, encoder_layers=2, hidden=512, dropout=0.0),
    ),
    loader=base.loader.replace(batch_size=8),
    optimizer=AdamWConfig(lr=2e-4, reference_batch_size=8, weight_decay=1e-4),
    schedule=CosineConfig(warmup_steps=200),
    training=base.training.replace(clip_grad_norm=0.1, threads=1),
)
