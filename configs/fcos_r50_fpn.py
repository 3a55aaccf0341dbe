"""FCOS on a ResNet-50 FPN, as torchvision has it, for COCO: the 1x schedule.

    python datasets/fetch_coco.py data/coco
    detkit weights download resnet50
    python tools/train.py configs/fcos_r50_fpn.py

``weights=fcos_resnet50_fpn`` starts from torchvision's detector.

Result: not yet run. torchvision publishes AP 39.2 on val2017 for this model after 26 epochs.
"""

from pathlib import Path

from detkit.config_classes import Experiment, SGDConfig, load_config, presets

base = load_config(Path(__file__).with_name("fpn_r50.py"), Experiment)

config = base.replace(
    name="fcos_r50_fpn",
    model=presets.fcos_resnet50_fpn(),
    optimizer=SGDConfig(lr=0.01, momentum=0.9, weight_decay=1e-4),
)
