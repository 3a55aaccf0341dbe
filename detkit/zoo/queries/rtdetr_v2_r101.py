"""RT-DETRv2-X on ResNet-101, for COCO: the 72-epoch schedule of the released code.

    detkit data fetch coco data/coco
    torchrun --nproc_per_node 4 -m detkit train rtdetr_v2_r101

Stem and norms of the backbone are frozen, and its learning rate is a hundredth; strong augmentation and other image sizes stop after
epoch 71.

Result: not yet run. The released weights are published with AP 54.3 (val2017).
"""

from detkit.config_classes import presets
from detkit.zoo.queries._schedules import augmentation_until, scales
from detkit.zoo.queries.rtdetr_v2_r50 import config as base

EPOCHS, STOP = 72, 71

config = base.replace(
    name="rtdetr_v2_r101",
    model=presets.rtdetr_v2_r101(),
    augmentation=augmentation_until(STOP / EPOCHS),
    optimizer=base.optimizer.replace(backbone_lr_factor=0.01, decay_biases=True),
    training=base.training.replace(epochs=EPOCHS, multi_scale=scales(3, STOP / EPOCHS), evaluations=EPOCHS),
)
