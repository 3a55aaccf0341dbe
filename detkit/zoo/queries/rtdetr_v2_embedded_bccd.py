"""Small RT-DETRv2 on the backbone of the detector that ships with detkit, for the blood cells of BCCD, in one core-hour.

    detkit data fetch bccd data/bccd
    detkit train rtdetr_v2_embedded_bccd
    detkit evaluate runs/rtdetr_v2_embedded_bccd-1 --data data/bccd --split test

The settings are those of ``rtdetr_v2_lite0_bccd``, whose backbone comes from ImageNet; this one has learned to detect.

Result: test AP 0.620, AP50 0.886, AP75 0.705 after 60.0 core-minutes (24,084 images seen); val AP 0.628.
"""

from detkit.weights import EMBEDDED
from detkit.zoo.queries.rtdetr_v2_lite0_bccd import config as base

config = base.replace(name="rtdetr_v2_embedded_bccd", weights=EMBEDDED)
