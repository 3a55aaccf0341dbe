"""RetinaNet on a ResNet-50 FPN, as in torchvision, for COCO: the 1x schedule.

    detkit data fetch coco data/coco
    detkit models download resnet50
    detkit train retinanet_r50_fpn

``weights=retinanet_resnet50_fpn`` starts from torchvision's detector.

Result: not yet run. torchvision publishes AP 36.4 on val2017 for this model after 26 epochs.
"""

from detkit.config_classes import SGDConfig, presets
from detkit.zoo.two_stage.fpn_r50 import config as base

config = base.replace(
    name="retinanet_r50_fpn",
    model=presets.retinanet_resnet50_fpn(),
    optimizer=SGDConfig(lr=0.01, momentum=0.9, weight_decay=1e-4),
)
