"""DEIMv2-Atto, for COCO, images of 320 pixels: 500 epochs with DEIM's dense matching.

    detkit data fetch coco data/coco
    torchrun --nproc_per_node 8 -m detkit train deimv2_atto

The smallest of the four sizes on HGNetV2 (arXiv:2509.20787), with half a million parameters. Its encoder has no attention, and its boxes
learn without the losses of distributions. Strong augmentation begins after 4 epochs and stops after 468, mosaic and mixup after 250. The
backbone is trained from scratch; the released recipe starts from HGNetV2-B0 where the stages agree. Not part of the training are that
recipe's other matching cost of the last epochs, and its pasting of objects into other images.

Result: not yet run. DEIMv2's weights are published with AP 23.8 (val2017); detkit lists none of them, as their license is contradictory.
"""

from detkit.config_classes import EMAConfig, EMARestartConfig, FlatCosineConfig, presets
from detkit.zoo.deim.deim_dfine_n import config as base
from detkit.zoo.queries._schedules import dense_augmentation

EPOCHS, FLAT, STOP = 500, 250, 468

config = base.replace(
    name="deimv2_atto",
    model=presets.deimv2_atto(),
    augmentation=dense_augmentation(4 / EPOCHS, FLAT / EPOCHS, STOP / EPOCHS),
    optimizer=base.optimizer.replace(lr=2e-3),
    schedule=FlatCosineConfig(warmup_steps=4000, flat_until=FLAT / EPOCHS, cosine_until=STOP / EPOCHS),
    training=base.training.replace(
        epochs=EPOCHS,
        ema=EMAConfig(decay=0.9999, warmup_steps=1000, restart=EMARestartConfig(at=STOP / EPOCHS, decay=0.9999)),
        evaluations=EPOCHS,
    ),
)
