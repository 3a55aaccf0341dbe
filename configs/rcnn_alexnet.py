"""R-CNN on AlexNet for Pascal VOC 2007, with the numbers of the paper (arXiv:1311.2524) and of its released code.

    python datasets/fetch_voc.py data/voc
    detkit weights download alexnet
    python tools/train.py configs/rcnn_alexnet.py
    python tools/evaluate.py --data data/voc/VOC2007 --split test --metric voc07

Its AlexNet is torchvision's, which has fewer channels than the paper's and no groups.

Result: not yet run. The paper has an AP of 54.2 on the test part of VOC 2007, 58.5 with box regression (table 2; trained on its trainval
part).
"""

from pathlib import Path

from detkit.config_classes import BackboneConfig, Experiment, FittedConfig, load_config

base = load_config(Path(__file__).with_name("rcnn_vgg16.py"), Experiment)

config = base.replace(
    name="rcnn_alexnet",
    model=base.model.replace(
        backbone=BackboneConfig(name="alexnet", levels=("c5",), frozen_stages=0),
        # fc6 takes 6 x 6 cells, from whose 9,216 numbers boxes are regressed.
        region=base.model.region.replace(pool_size=6, fitted=FittedConfig(boxes_from="pooled")),
        warp_size=227,
    ),
)
