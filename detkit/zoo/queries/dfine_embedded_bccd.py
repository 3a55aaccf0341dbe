"""Small D-FINE on the backbone of the detector that ships with detkit, for the blood cells of BCCD, in one core-hour.

    detkit data fetch bccd data/bccd
    detkit train dfine_embedded_bccd
    detkit evaluate runs/dfine_embedded_bccd-1 --data data/bccd --split test

The settings are those of ``dfine_lite0_bccd``, whose backbone comes from ImageNet; this one has learned to detect.

Result: test AP 0.625, AP50 0.885, AP75 0.751 after 60.0 core-minutes (8,304 images seen); val AP 0.622.
"""

from detkit.weights import EMBEDDED
from detkit.zoo.queries.dfine_lite0_bccd import config as base

config = base.replace(name="dfine_embedded_bccd", weights=EMBEDDED)
