"""RetinaNet on a ResNet-50 FPN with the numbers of the paper (arXiv:1708.02002), for COCO: 90,000 iterations of 16 images.

    detkit data fetch coco data/coco
    detkit models download resnet50
    detkit train retinanet_r50_fpn_paper

P6 is computed from C5, anchor sizes are exact thirds of an octave, boxes are trained with a smooth L1 loss, and an image has up to 100
detections; ``RetinaNetConfig`` lists how torchvision differs.

Result: not yet run. The paper reports AP 35.7 on test-dev at 800 pixels (table 1e), with a ResNet-50 of Caffe2.
"""

from detkit.config_classes import TrainingConfig, presets
from detkit.zoo.dense.retinanet_r50_fpn import config as base

config = base.replace(
    name="retinanet_r50_fpn_paper",
    model=presets.retinanet_resnet50_fpn_paper(),
    training=TrainingConfig(steps=90_000),
)
