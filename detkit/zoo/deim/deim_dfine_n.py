"""D-FINE-N trained with DEIM's dense matching, for COCO: 160 epochs.

    detkit data fetch coco data/coco
    torchrun --nproc_per_node 8 -m detkit train deim_dfine_n

More objects per image, by mosaic and mixup, give more matches, and the matchability-aware loss learns from those of low IoU
(arXiv:2412.04234). Strong augmentation begins after 4 epochs and stops after 148, mosaic and mixup after 78; the training then continues
from the best evaluation. All norms are trained. The tiles of the mosaic are scaled in our way, near the published one.

Result: not yet run. DEIM's weights are published with AP 43.0 (val2017).
"""

from detkit.config_classes import FlatCosineConfig, presets
from detkit.zoo.queries._schedules import dense_augmentation, restarted_ema, with_dense_matching
from detkit.zoo.queries.dfine_n import config as base

EPOCHS, FLAT, STOP = 160, 78, 148
multi_scale = base.training.multi_scale

config = base.replace(
    name="deim_dfine_n",
    model=with_dense_matching(presets.dfine_n()),
    augmentation=dense_augmentation(4 / EPOCHS, FLAT / EPOCHS, STOP / EPOCHS),
    optimizer=base.optimizer.replace(lr=8e-4),
    schedule=FlatCosineConfig(flat_until=1.0, cosine_until=1.0, final_factor=1.0),
    training=base.training.replace(
        epochs=EPOCHS,
        multi_scale=multi_scale and multi_scale.replace(between=(0.0, STOP / EPOCHS)),
        ema=restarted_ema(STOP / EPOCHS),
        evaluations=EPOCHS,
    ),
)
