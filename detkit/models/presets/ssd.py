"""SSD configs with the settings of known publications."""

from __future__ import annotations

from detkit.backbones import BackboneConfig
from detkit.heads.default_boxes import DefaultBoxConfig
from detkit.heads.postprocess import PostprocessConfig
from detkit.heads.ssd import SSDHeadConfig
from detkit.models.ssd import SSDConfig
from detkit.necks import ExtraLevelConfig, SSDExtrasConfig
from detkit.preprocess import PreprocessConfig

_RATIOS_OF_7: tuple[tuple[float, ...], ...] = ((2.0,), *((2.0, 3.0),) * 4, (2.0,), (2.0,))


def ssd300_vgg16() -> SSDConfig:
    """SSD for images of 300 x 300 on a VGG16, with the default boxes for COCO, as in torchvision."""
    return SSDConfig()


def ssd300_vgg16_voc() -> SSDConfig:
    """SSD300 with the default boxes for Pascal VOC, without clipping: the paper's section 3 and its ssd_pascal.py."""
    boxes = DefaultBoxConfig(scales=(0.1, 0.2, 0.37, 0.54, 0.71, 0.88, 1.05), clip=False)
    return SSDConfig(head=SSDHeadConfig(default_boxes=boxes))


def ssd512_vgg16() -> SSDConfig:
    """SSD for images of 512 x 512, with one more level, for COCO.

    The settings are those of the authors' ssd_coco.py and ssd_pascal_512.py.
    """
    boxes = DefaultBoxConfig(
        scales=(0.04, 0.1, 0.26, 0.42, 0.58, 0.74, 0.9, 1.06),
        ratios=_RATIOS_OF_7,
        steps=(8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0),
        clip=False,
    )
    level, last = ExtraLevelConfig(), ExtraLevelConfig(kernel=4, stride=1)
    return SSDConfig(
        preprocess=PreprocessConfig(rule="fixed", input_size=(512, 512)),
        neck=SSDExtrasConfig(extras=(ExtraLevelConfig(channels=512), level, level, level, last)),
        head=SSDHeadConfig(default_boxes=boxes),
    )


def ssdlite320_mobilenet_v3_large() -> SSDConfig:
    """SSDLite for images of 320 x 320 on a MobileNetV3-Large with reduced tail, as in torchvision."""
    channels = (512, 256, 256, 128)
    boxes = DefaultBoxConfig(scales=(0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0), ratios=((2.0, 3.0),) * 6, steps=None)
    postprocess = PostprocessConfig(min_score=0.001, pre_nms_top_k=None, pre_nms_top_k_per_class=300, nms_iou=0.55, max_detections=300)
    return SSDConfig(
        preprocess=PreprocessConfig(rule="fixed", input_size=(320, 320)),
        backbone=BackboneConfig(name="mobilenet_v3_large_reduced", weights=None),
        first_level="c4",
        neck=SSDExtrasConfig(
            extras=tuple(ExtraLevelConfig(channels=count) for count in channels), rescale=None, atrous_channels=None, lite=True
        ),
        head=SSDHeadConfig(default_boxes=boxes, lite=True, postprocess=postprocess),
    )
