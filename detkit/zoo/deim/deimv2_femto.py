"""DEIMv2-Femto, for COCO, images of 416 pixels: 500 epochs with DEIM's dense matching.

    detkit data fetch coco data/coco
    torchrun --nproc_per_node 8 -m detkit train deimv2_femto

Encoder and training are those of deimv2_atto; backbone and decoder are wider (arXiv:2509.20787).

Result: not yet run. DEIMv2's weights are published with AP 31.0 (val2017); detkit lists none of them, as their license is contradictory.
"""

from detkit.config_classes import presets
from detkit.zoo.deim.deimv2_atto import config as base

config = base.replace(name="deimv2_femto", model=presets.deimv2_femto(), optimizer=base.optimizer.replace(lr=1.6e-3))
