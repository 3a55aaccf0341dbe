"""D-FINE-X trained with DEIM's dense matching, for COCO: 58 epochs.

    detkit data fetch coco data/coco
    torchrun --nproc_per_node 8 -m detkit train deim_dfine_x

More objects per image, by mosaic and mixup, give more matches, and the matchability-aware loss learns from those of low IoU
(arXiv:2412.04234). Strong augmentation begins after 4 epochs and stops after 50, mosaic and mixup after 29; the training then continues
from the best evaluation. All norms are trained. The tiles of the mosaic are scaled in our way, near the published one.

Result: not yet run. DEIM's weights are published with AP 56.5 (val2017).
"""

from detkit.config_classes import FlatCosineConfig, presets
from detkit.zoo.queries._schedules import dense_augmentation, restarted_ema, with_dense_matching
from detkit.zoo.queries.dfine_x import config as base

EPOCHS, FLAT, STOP = 58, 29, 50
multi_scale = base.training.multi_scale

config = base.replace(
    name="deim_dfine_x",
    model=with_dense_matching(presets.dfine_x()),
    augmentation=dense_augmentation(4 / EPOCHS, FLAT / EPOCHS, STOP / EPOCHS),
    optimizer=base.optimizer.replace(lr=5e-4),
    schedule=FlatCosineConfig(flat_until=FLAT / EPOCHS, cosine_until=STOP / EPOCHS),
    training=base.training.replace(
        epochs=EPOCHS,
        multi_scale=multi_scale and multi_scale.replace(between=(0.0, STOP / EPOCHS)),
        ema=restarted_ema(STOP / EPOCHS),
        evaluations=EPOCHS,
    ),
)
