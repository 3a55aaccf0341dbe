"""FCOS with ATSS on an EfficientNet-Lite0 FPN, for the blood cells of BCCD, in one core-hour.

    detkit data fetch bccd data/bccd
    detkit train atss_lite0_bccd
    detkit evaluate runs/atss_lite0_bccd-1 --data data/bccd --split test

It ran on a processor without bfloat16 instructions, and so saw a third as many images as FCOS in the same core-hour.

Result: test AP 0.560, AP50 0.894, AP75 0.627 after 59.8 core-minutes (1,972 images seen); val AP 0.550.
"""

from detkit.zoo.dense.fcos_lite0_bccd import config as base
from detkit.zoo.dense.fcos_lite0_bccd import model as fcos

config = base.replace(name="atss_lite0_bccd", model=fcos.replace(head=fcos.head.replace(atss_top_k=9)))
