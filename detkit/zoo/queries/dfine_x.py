"""D-FINE-X, for COCO: the 80-epoch schedule of the released code.

    detkit data fetch coco data/coco
    torchrun --nproc_per_node 8 -m detkit train dfine_x

The batch size is the total over all processes. Stem and norms of the backbone are frozen. After epoch 72, strong augmentation and other
image sizes stop, and the training continues from the best evaluation.

Result: not yet run. The released weights are published with AP 55.8 (val2017).
"""

from detkit.config_classes import presets
from detkit.zoo.queries._schedules import augmentation_until, restarted_ema, scales
from detkit.zoo.queries.dfine_l import config as base

EPOCHS, STOP = 80, 72

config = base.replace(
    name="dfine_x",
    model=presets.dfine_x(),
    augmentation=augmentation_until(STOP / EPOCHS),
    loader=base.loader.replace(batch_size=32),
    optimizer=base.optimizer.replace(lr=2.5e-4, reference_batch_size=32, weight_decay=1.25e-4, backbone_lr_factor=0.01, decay_biases=True),
    training=base.training.replace(
        epochs=EPOCHS,
        multi_scale=scales(3, STOP / EPOCHS),
        ema=restarted_ema(STOP / EPOCHS, decay=0.9998),
        evaluations=EPOCHS,
    ),
)
