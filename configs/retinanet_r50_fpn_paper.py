"""RetinaNet on a ResNet-50 FPN with the paper's numbers (arXiv:1708.02002), for COCO: 90,000 iterations of 16 images.

    python datasets/fetch_coco.py data/coco
    detkit weights download resnet50
    python tools/train.py configs/retinanet_r50_fpn_paper.py

P6 is made from C5, anchors come in exact thirds of an octave, boxes learn by a smooth L1 loss, and a image has up to
100 detections; ``RetinaNetConfig`` lists what torchvision does instead.

Result: not yet run. The paper gives AP 35.7 on test-dev at 800 pixels (table 1e), with a ResNet-50 of Caffe2.
"""

from pathlib import Path

from detkit.config_classes import Experiment, TrainingConfig, load_config, presets

base = load_config(Path(__file__).with_name("retinanet_r50_fpn.py"), Experiment)

config = base.replace(
    name="retinanet_r50_fpn_paper",
    model=presets.retinanet_resnet50_fpn_paper(),
    training=TrainingConfig(steps=90_000),
)
