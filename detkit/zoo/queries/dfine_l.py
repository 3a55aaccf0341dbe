"""D-FINE-L, for COCO: the 80-epoch schedule of the released code.

    detkit data fetch coco data/coco
    torchrun --nproc_per_node 8 -m detkit train dfine_l

The defaults of the model are the released ones. The batch size is the total over all processes. Stem and norms of the backbone are
frozen. After epoch 72, strong augmentation and other image sizes stop, and the training continues from the best evaluation.

Result: not yet run. The released weights are published with AP 54.0 (val2017).
"""

from detkit.config_classes import MultistepConfig, presets
from detkit.zoo.queries._schedules import augmentation_until, linear_warmup, restarted_ema, scales
from detkit.zoo.queries.rtdetr_v2_r50 import config as base

EPOCHS, STOP = 80, 72

config = base.replace(
    name="dfine_l",
    model=presets.dfine_l(),
    augmentation=augmentation_until(STOP / EPOCHS),
    loader=base.loader.replace(batch_size=32),
    optimizer=base.optimizer.replace(lr=2.5e-4, reference_batch_size=32, weight_decay=1.25e-4, backbone_lr_factor=0.05),
    schedule=MultistepConfig(milestones=(), **linear_warmup(500)),
    training=base.training.replace(
        epochs=EPOCHS,
        multi_scale=scales(4, STOP / EPOCHS),
        ema=restarted_ema(STOP / EPOCHS),
        evaluations=EPOCHS,
    ),
)
