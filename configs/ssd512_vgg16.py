"""SSD512 on a VGG16, for COCO: one level more than SSD300, and the default boxes of the authors' code.

    python datasets/fetch_coco.py data/coco
    detkit weights download vgg16_caffe
    python tools/train.py configs/ssd512_vgg16.py

Result: not yet run. The paper has AP 26.8 on test-dev2015 for it.
"""

from pathlib import Path

from detkit.config_classes import Experiment, load_config, presets_ssd

base = load_config(Path(__file__).with_name("ssd300_vgg16.py"), Experiment)

config = base.replace(name="ssd512_vgg16", model=presets_ssd.ssd512_vgg16())
