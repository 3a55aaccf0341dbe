"""SSD512 on VGG16, for COCO: one level more than SSD300, and the default boxes of the authors' code.

    detkit data fetch coco data/coco
    detkit models download vgg16_caffe
    detkit train ssd512_vgg16

Result: not yet run. The paper reports AP 26.8 on test-dev2015 for this model.
"""

from detkit.config_classes import presets
from detkit.zoo.dense.ssd300_vgg16 import config as base

config = base.replace(name="ssd512_vgg16", model=presets.ssd512_vgg16())
