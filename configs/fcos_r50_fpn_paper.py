"""FCOS on a ResNet-50 FPN with the first paper's numbers (arXiv:1904.01355), for COCO: 90,000 iterations of 16 images.

    python datasets/fetch_coco.py data/coco
    detkit weights download resnet50
    python tools/train.py configs/fcos_r50_fpn_paper.py

``FCOSConfig`` lists what the second paper, and torchvision with it, does instead.

Result: not yet run. The authors publish AP 37.1 on minival (github.com/tianzhi0549/FCOS), with a ResNet-50 of Caffe.
"""

from pathlib import Path

from detkit.config_classes import Experiment, TrainingConfig, load_config, presets

base = load_config(Path(__file__).with_name("fcos_r50_fpn.py"), Experiment)

config = base.replace(
    name="fcos_r50_fpn_paper",
    model=presets.fcos_resnet50_fpn_paper(),
    training=TrainingConfig(steps=90_000),
)
