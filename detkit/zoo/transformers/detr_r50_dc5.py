"""DETR-DC5 on ResNet-50, for COCO: the last level has stride 16 and four times as many cells, which helps with small objects.

    detkit data fetch coco data/coco
    detkit models download resnet50
    torchrun --nproc_per_node 8 -m detkit train detr_r50_dc5

The batch size is the total over all processes. With eight processes each has one image and needs no padding, which is how the released
weights were trained.

Result: not yet run. The released weights are published with AP 43.3 on val2017, after 500 epochs.
"""

from detkit.config_classes import presets
from detkit.zoo.transformers.detr_r50 import config as base

config = base.replace(
    name="detr_r50_dc5",
    model=presets.detr_r50_dc5(),
    loader=base.loader.replace(batch_size=8),
    optimizer=base.optimizer.replace(reference_batch_size=8),
)
