"""Faster R-CNN on VGG16 for Pascal VOC 2007 by the 4-step alternating training of its paper (arXiv:1506.01497, section 3.2).

    python datasets/fetch_voc.py data/voc
    detkit weights download vgg16
    python tools/train.py configs/faster_rcnn_alternating_vgg16.py
    python tools/evaluate.py --data data/voc/VOC2007 --split test --metric voc07

The proposal network learns; then, from ImageNet's weights anew, Fast R-CNN on its proposals; then each again on the layers that they share,
which stay. The checkpoint of the last step is one Faster R-CNN.

Differences from the paper: a step has two images throughout, of 128 anchors each, so that 40,000 steps of the proposal network see as
many images as its 80,000 of one; anchors that cross the image's border learn too; the layers of a part go on in its second turn.

Result: not yet run. The paper has an AP of 69.9 on the test part of VOC 2007 (table 3; trained on its trainval part).
"""

from pathlib import Path

from detkit.config_classes import AnchorConfig, Experiment, FasterRCNNConfig, GradientStageConfig, RPNConfig, SingleLevelConfig, load_config

base = load_config(Path(__file__).with_name("fast_rcnn_vgg16.py"), Experiment)

config = base.replace(
    name="faster_rcnn_alternating_vgg16",
    model=FasterRCNNConfig(
        preprocess=base.model.preprocess,
        backbone=base.model.backbone,
        neck=SingleLevelConfig(),
        # Three sizes in three shapes; 2,000 proposals in training and 300 in detection (sections 3.3 and 4.1, and the released code).
        rpn=RPNConfig(
            anchors=AnchorConfig(sizes=((128.0, 256.0, 512.0),)),
            samples_per_image=128,
            train_pre_nms_top_k=12_000,
            train_max_proposals=2000,
            pre_nms_top_k=6000,
            max_proposals=300,
        ),
        region=base.model.region,
    ),
    # A rate of 0.001, and a tenth of it for the last quarter (section 3.1.3).
    training=base.training.replace(evaluations=1),
    stages=(
        GradientStageConfig(name="rpn", trains="rpn"),
        GradientStageConfig(name="fast_rcnn", trains="region", proposals_from="start_of_stage", reset=("neck",)),
        GradientStageConfig(name="rpn_on_shared", trains="rpn", frozen=("neck",)),
        GradientStageConfig(name="fast_rcnn_on_shared", trains="region", frozen=("neck",)),
    ),
)
