"""RT-DETRv2-S on ResNet-18, for COCO: the 120-epoch schedule of the released code.

    detkit data fetch coco data/coco
    torchrun --nproc_per_node 4 -m detkit train rtdetr_v2_r18

All of the backbone is trained at the full learning rate, on images of one size; strong augmentation stops after epoch 117.

Result: not yet run. The released weights are published with AP 48.1 (val2017).
"""

from detkit.config_classes import presets
from detkit.zoo.queries._schedules import augmentation_until
from detkit.zoo.queries.rtdetr_v2_r50 import config as base

EPOCHS, STOP = 120, 117

config = base.replace(
    name="rtdetr_v2_r18",
    model=presets.rtdetr_v2_r18(),
    augmentation=augmentation_until(STOP / EPOCHS),
    optimizer=base.optimizer.replace(backbone_lr_factor=1.0, decay_biases=True),
    training=base.training.replace(epochs=EPOCHS, multi_scale=None, evaluations=EPOCHS),
)
