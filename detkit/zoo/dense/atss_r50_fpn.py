"""FCOS with ATSS (arXiv:1912.02424) on a ResNet-50 FPN, for COCO: the 1x schedule.

    detkit data fetch coco data/coco
    detkit models download resnet50
    detkit train atss_r50_fpn

Boxes are distances to points, as in FCOS; in the authors' code they are relative to the points' anchors.

Result: not yet run. The authors publish AP 39.3 on minival (github.com/sfzhang15/ATSS).
"""

from detkit.config_classes import presets
from detkit.zoo.dense.fcos_r50_fpn import config as base

fcos = presets.fcos_resnet50_fpn()
config = base.replace(name="atss_r50_fpn", model=fcos.replace(head=fcos.head.replace(atss_top_k=9, offset=0.5, distance_encoding="exp")))
