"""Model configs with the settings of known publications; a config file starts from one and replaces values."""

from __future__ import annotations

from detkit.backbones import BackboneConfig
from detkit.heads.anchors import AnchorConfig
from detkit.heads.fcos import FCOSHeadConfig
from detkit.heads.postprocess import PostprocessConfig
from detkit.heads.region.classifier import RegionConfig
from detkit.heads.region.layers import ConvFCConfig
from detkit.heads.region.mask import MaskHeadConfig
from detkit.heads.retinanet import RetinaNetHeadConfig
from detkit.heads.rpn import RPNConfig
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.models.fcos import FCOSConfig
from detkit.models.mask_rcnn import MaskRCNNConfig
from detkit.models.retinanet import RetinaNetConfig
from detkit.necks import FPNConfig, SingleLevelConfig
from detkit.preprocess import PreprocessConfig


def fasterrcnn_resnet50_fpn() -> FasterRCNNConfig:
    """Faster R-CNN on a ResNet-50 FPN, as in torchvision."""
    return FasterRCNNConfig()


def fasterrcnn_resnet50_fpn_v2() -> FasterRCNNConfig:
    """Torchvision's version 2: batch norm everywhere, two convolutions in the RPN, four in the region head."""
    return FasterRCNNConfig(
        backbone=BackboneConfig(norm="train"),
        neck=FPNConfig(norm="batch"),
        rpn=RPNConfig(depth=2),
        region=RegionConfig(head=ConvFCConfig()),
    )


def fasterrcnn_mobilenet_v3_large_fpn() -> FasterRCNNConfig:
    """Torchvision's light Faster R-CNN: two maps of stride 32, fifteen anchors per cell."""
    sizes = ((32.0, 64.0, 128.0, 256.0, 512.0),) * 3
    return FasterRCNNConfig(
        backbone=BackboneConfig(name="mobilenet_v3_large", norm_eps=1e-5, frozen_stages=3, levels=("c5_first", "c5")),
        rpn=RPNConfig(anchors=AnchorConfig(sizes=sizes), min_score=0.05),
    )


def fasterrcnn_mobilenet_v3_large_320_fpn() -> FasterRCNNConfig:
    """The light Faster R-CNN for images of 320 pixels, with few proposals."""
    config = fasterrcnn_mobilenet_v3_large_fpn()
    rpn = config.rpn.replace(pre_nms_top_k=150, max_proposals=150)
    return config.replace(preprocess=PreprocessConfig(short_side=320, long_side=640), rpn=rpn)


def fasterrcnn_resnet50_c4() -> FasterRCNNConfig:
    """Faster R-CNN on one map of stride 16, fifteen anchors per cell; the region head has two fully connected layers."""
    return FasterRCNNConfig(
        backbone=BackboneConfig(levels=("c4",)),
        neck=SingleLevelConfig(),
        rpn=RPNConfig(anchors=AnchorConfig(sizes=((32.0, 64.0, 128.0, 256.0, 512.0),))),
    )


def maskrcnn_resnet50_fpn() -> MaskRCNNConfig:
    """Mask R-CNN on a ResNet-50 FPN, as in torchvision."""
    return MaskRCNNConfig()


def maskrcnn_resnet50_fpn_v2() -> MaskRCNNConfig:
    """Torchvision's version 2: as its Faster R-CNN, with batch norm in the mask head too."""
    boxes = fasterrcnn_resnet50_fpn_v2()
    parts = {"backbone": boxes.backbone, "neck": boxes.neck, "rpn": boxes.rpn, "region": boxes.region}
    return MaskRCNNConfig(mask=MaskHeadConfig(norm="batch")).replace(**parts)


def retinanet_resnet50_fpn() -> RetinaNetConfig:
    """RetinaNet on a ResNet-50 FPN, as in torchvision."""
    return RetinaNetConfig()


def retinanet_resnet50_fpn_v2() -> RetinaNetConfig:
    """Torchvision's version 2: trainable batch norms, P6 from C5, group norms in the head, a GIoU loss for boxes."""
    config = RetinaNetConfig(neck=FPNConfig(extra_levels="p6p7_c5"), head=RetinaNetHeadConfig(norm="group", box_loss="giou"))
    return config.replace(backbone=config.backbone.replace(norm="train"))


def retinanet_resnet50_fpn_paper() -> RetinaNetConfig:
    """RetinaNet as in its paper (arXiv:1708.02002), sections 4 and 5.

    The error at which the smooth L1 loss becomes linear is that of its original code.
    """
    sizes = tuple(tuple(side * 2 ** (third / 3) for third in range(3)) for side in (32.0, 64.0, 128.0, 256.0, 512.0))
    head = RetinaNetHeadConfig(anchors=AnchorConfig(sizes=sizes), beta=1 / 9, postprocess=PostprocessConfig())
    return RetinaNetConfig(neck=FPNConfig(extra_levels="p6p7_c5"), head=head)


def fcos_resnet50_fpn() -> FCOSConfig:
    """FCOS on a ResNet-50 FPN, as in torchvision."""
    return FCOSConfig()


def fcos_resnet50_fpn_paper() -> FCOSConfig:
    """FCOS as in its first paper (arXiv:1904.01355), sections 3 and 4; the NMS IoU is that of its original code."""
    head = FCOSHeadConfig(
        offset=0.5,
        center_radius=None,
        distance_encoding="exp",
        centerness_tower="classes",
        box_loss="log_iou",
        score_rule="product",
        min_class_score=0.05,
        postprocess=PostprocessConfig(min_score=0.0, nms_iou=0.6),
    )
    return FCOSConfig(head=head)
