"""D-FINE-N, for COCO: the 160-epoch schedule of the released code.

    detkit data fetch coco data/coco
    torchrun --nproc_per_node 4 -m detkit train dfine_n

The batch size is the total over all processes. All images have one size. After epoch 148, strong augmentation stops, and the training
continues from the best evaluation.

Result: not yet run. The released weights are published with AP 42.8 (val2017).
"""

from detkit.config_classes import presets
from detkit.zoo.queries._schedules import augmentation_until, restarted_ema
from detkit.zoo.queries.dfine_l import config as base

EPOCHS, STOP = 160, 148

config = base.replace(
    name="dfine_n",
    model=presets.dfine_n(),
    augmentation=augmentation_until(STOP / EPOCHS),
    loader=base.loader.replace(batch_size=128),
    optimizer=base.optimizer.replace(lr=8e-4, reference_batch_size=128, weight_decay=1e-4, backbone_lr_factor=0.5, decay_biases=False),
    training=base.training.replace(
        epochs=EPOCHS,
        multi_scale=None,
        ema=restarted_ema(STOP / EPOCHS),
        evaluations=EPOCHS,
    ),
)
