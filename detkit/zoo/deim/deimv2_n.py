"""DEIMv2-N, for COCO: 160 epochs with DEIM's dense matching.

    detkit data fetch coco data/coco
    torchrun --nproc_per_node 8 -m detkit train deimv2_n

D-FINE-N with RMS norms and SwiGLU in the decoder, no layers before the query selection, and maps that are joined by addition
(arXiv:2509.20787). The training is that of deim_dfine_n. Not part of it are the released recipe's other matching cost of the last epochs,
and its pasting of objects into other images.

Result: not yet run. DEIMv2's weights are published with AP 43.0 (val2017); detkit lists none of them, as their license is contradictory.
"""

from detkit.config_classes import presets
from detkit.zoo.deim.deim_dfine_n import config as base

config = base.replace(name="deimv2_n", model=presets.deimv2_n())
