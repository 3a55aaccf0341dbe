"""RT-DETRv2-M on ResNet-34, for COCO: the 120-epoch schedule of the released code.

    detkit data fetch coco data/coco
    torchrun --nproc_per_node 4 -m detkit train rtdetr_v2_r34

The backbone has half the learning rate; strong augmentation and other image sizes stop after epoch 117.

Result: not yet run. The released weights are published with AP 49.9 (val2017).
"""

from detkit.config_classes import presets
from detkit.zoo.queries._schedules import augmentation_until, scales
from detkit.zoo.queries.rtdetr_v2_r50 import config as base

EPOCHS, STOP = 120, 117

config = base.replace(
    name="rtdetr_v2_r34",
    model=presets.rtdetr_v2_r34(),
    augmentation=augmentation_until(STOP / EPOCHS),
    optimizer=base.optimizer.replace(backbone_lr_factor=0.5, decay_biases=False),
    training=base.training.replace(epochs=EPOCHS, multi_scale=scales(3, STOP / EPOCHS), evaluations=EPOCHS),
)
