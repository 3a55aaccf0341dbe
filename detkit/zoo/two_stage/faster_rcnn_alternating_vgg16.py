"""Faster R-CNN on VGG16 for Pascal VOC 2007 by the 4-step alternating training of its paper (arXiv:1506.01497, section 3.2).

    detkit data fetch voc data/voc
    detkit models download vgg16
    detkit train faster_rcnn_alternating_vgg16
    detkit evaluate runs/faster_rcnn_alternating_vgg16-1 --data data/voc/VOC2007 --split test --metric voc07

First the RPN is trained. Then Fast R-CNN is trained on its proposals, again from ImageNet weights. Then each is trained once more on the
shared layers, which are frozen. The checkpoint of the last step is one Faster R-CNN.

Differences from the paper: every step has two images per batch with 128 anchors each, so that 40,000 steps of the RPN see as many images as
the paper's 80,000 steps with one image; anchors that cross the image's border are trained too; the layers of each part continue from their
weights in its second step.

Result: not yet run. The paper reports AP 69.9 on the test part of VOC 2007 (table 3; trained on its trainval part).
"""

from detkit.config_classes import AnchorConfig, FasterRCNNConfig, GradientStageConfig, RPNConfig, SingleLevelConfig
from detkit.zoo.two_stage.fast_rcnn_vgg16 import config as base
from detkit.zoo.two_stage.fast_rcnn_vgg16 import model as base_model

config = base.replace(
    name="faster_rcnn_alternating_vgg16",
    model=FasterRCNNConfig(
        preprocess=base_model.preprocess,
        backbone=base_model.backbone,
        neck=SingleLevelConfig(),
        # Three sizes and three aspect ratios; 2,000 proposals for training and 300 for detection (sections 3.3, 4.1, and released code).
        rpn=RPNConfig(
            anchors=AnchorConfig(sizes=((128.0, 256.0, 512.0),)),
            samples_per_image=128,
            train_pre_nms_top_k=12_000,
            train_max_proposals=2000,
            pre_nms_top_k=6000,
            max_proposals=300,
        ),
        region=base_model.region,
    ),
    # A learning rate of 0.001, and a tenth of it for the last quarter (section 3.1.3).
    training=base.training.replace(evaluations=1),
    stages=(
        GradientStageConfig(name="rpn", trains="rpn"),
        GradientStageConfig(name="fast_rcnn", trains="region", proposals_from="start_of_stage", reset=("neck",)),
        GradientStageConfig(name="rpn_on_shared", trains="rpn", frozen=("neck",)),
        GradientStageConfig(name="fast_rcnn_on_shared", trains="region", frozen=("neck",)),
    ),
)
