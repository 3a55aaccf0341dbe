"""D-FINE-M, for COCO: the 132-epoch schedule of the released code.

    detkit data fetch coco data/coco
    torchrun --nproc_per_node 4 -m detkit train dfine_m

The batch size is the total over all processes. After epoch 120, strong augmentation and other image sizes stop, and the training
continues from the best evaluation.

Result: not yet run. The released weights are published with AP 52.3 (val2017).
"""

from detkit.config_classes import presets
from detkit.zoo.queries._schedules import augmentation_until, restarted_ema, scales
from detkit.zoo.queries.dfine_l import config as base

EPOCHS, STOP = 132, 120

config = base.replace(
    name="dfine_m",
    model=presets.dfine_m(),
    augmentation=augmentation_until(STOP / EPOCHS),
    loader=base.loader.replace(batch_size=32),
    optimizer=base.optimizer.replace(lr=2e-4, reference_batch_size=32, weight_decay=1e-4, backbone_lr_factor=0.1, decay_biases=False),
    training=base.training.replace(
        epochs=EPOCHS,
        multi_scale=scales(6, STOP / EPOCHS),
        ema=restarted_ema(STOP / EPOCHS),
        evaluations=EPOCHS,
    ),
)
