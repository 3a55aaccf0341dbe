"""RT-DETRv2-S trained with DEIM's dense matching, for COCO: 120 epochs.

    detkit data fetch coco data/coco
    torchrun --nproc_per_node 8 -m detkit train deim_rtdetr_v2_r18

More objects per image, by mosaic and mixup, give more matches, and the matchability-aware loss learns from those of low IoU
(arXiv:2412.04234). Strong augmentation begins after 4 epochs and stops after 117, mosaic and mixup after 64; the training then continues
from the best evaluation. All norms are trained. The tiles of the mosaic are scaled in our way, near the published one.

Result: not yet run. DEIM's weights are published with AP 49.0 (val2017).
"""

from detkit.config_classes import FlatCosineConfig, presets
from detkit.zoo.queries._schedules import dense_augmentation, restarted_ema, with_dense_matching
from detkit.zoo.queries.rtdetr_v2_r18 import config as base

EPOCHS, FLAT, STOP = 120, 64, 117
multi_scale = base.training.multi_scale

config = base.replace(
    name="deim_rtdetr_v2_r18",
    model=with_dense_matching(presets.rtdetr_v2_r18()),
    augmentation=dense_augmentation(4 / EPOCHS, FLAT / EPOCHS, STOP / EPOCHS),
    optimizer=base.optimizer.replace(lr=2e-4),
    schedule=FlatCosineConfig(flat_until=FLAT / EPOCHS, cosine_until=STOP / EPOCHS),
    training=base.training.replace(
        epochs=EPOCHS,
        multi_scale=multi_scale and multi_scale.replace(between=(0.0, STOP / EPOCHS)),
        ema=restarted_ema(STOP / EPOCHS, warmup_steps=2000),
        evaluations=EPOCHS,
    ),
)
