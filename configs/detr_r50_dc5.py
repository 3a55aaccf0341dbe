"""DETR-DC5 on a ResNet-50, for COCO: the last map has stride 16, four times the cells, which helps with small objects.

    python datasets/fetch_coco.py data/coco
    detkit weights download resnet50
    torchrun --nproc_per_node 8 -m detkit train configs/detr_r50_dc5.py

The batch is of all processes: with eight of them each has one image and pads nothing, as the released weights were trained.

Result: not yet run. The released weights are published with AP 43.3 on val2017, after 500 epochs.
"""

from pathlib import Path

from detkit.config_classes import Experiment, load_config, presets_detr

base = load_config(Path(__file__).with_name("detr_r50.py"), Experiment)

config = base.replace(
    name="detr_r50_dc5",
    model=presets_detr.detr_r50_dc5(),
    loader=base.loader.replace(batch_size=8),
    optimizer=base.optimizer.replace(reference_batch_size=8),
)
